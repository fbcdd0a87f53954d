//! Everything that passes the boundary, type by type, is what it was when the boundary was frozen: names, sizes,
//! alignments, fields and functions, against `layout.txt`.

use std::{
    fmt::Write as _,
    fs,
    mem::{align_of, offset_of, size_of},
    path::Path,
};

use abi_stable::{
    StableAbi,
    std_types::UTypeId,
    type_layout::{TLData, TLField, TLFields, TLFunction, TypeLayout},
};
use plugin_abi::{
    boundary::{
        FRAME_BINARY, FRAME_TEXT, Frame, HostApiBox, PluginInstanceBox, PluginModuleRef, StreamEndBox,
        TrySendError,
    },
    preamble::{
        ABI_VERSION, MAGIC, MANIFEST_FAILED, MANIFEST_OK, MANIFEST_SYMBOL, ManifestBytes, PANIC_ABORT,
        PANIC_UNWIND, PREAMBLE_SYMBOL, Preamble, ROOT_SYMBOL,
    },
};

/// What stands in `layout.txt`; the layout of another machine's pointers is another one.
#[cfg(target_pointer_width = "64")]
#[test]
fn the_boundary_is_what_it_was_when_it_was_frozen() {
    let actual = format!("{}{}", preamble(), types());
    let frozen = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/layout.txt"))
        .expect("the frozen layout is beside this test");
    if actual == frozen {
        return;
    }
    let seen = Path::new(env!("CARGO_TARGET_TMPDIR")).join("layout.txt");
    fs::write(&seen, &actual).expect("the target folder can be written");
    panic!(
        "the boundary is not what it was, so that no plugin built before can be loaded.\n{}\n\
         Put it back: what is new goes into the JSON messages of `plugin_api::protocol`. If it must change, raise \
         `preamble::ABI_VERSION`, so that older plugins are refused in one line, and then put {} in the place of \
         plugin-api/abi/tests/layout.txt",
        difference(&frozen, &actual),
        seen.display()
    );
}

/// The lines that one side has and the other has not.
fn difference(frozen: &str, actual: &str) -> String {
    let without = |one: &str, other: &str, mark: char| -> String {
        let other: Vec<&str> = other.lines().collect();
        one.lines().filter(|line| !other.contains(line)).map(|line| format!("{mark} {line}\n")).collect()
    };
    without(frozen, actual, '-') + &without(actual, frozen, '+')
}

/// The plain C data that is read first.
fn preamble() -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).escape_default().to_string();
    let mut lines = format!("abi version {ABI_VERSION}, magic {}\n", text(&MAGIC));
    for symbol in [PREAMBLE_SYMBOL, MANIFEST_SYMBOL, ROOT_SYMBOL] {
        _ = writeln!(lines, "symbol {}", text(symbol));
    }
    _ = writeln!(lines, "panic unwind {PANIC_UNWIND}, abort {PANIC_ABORT}");
    _ = writeln!(lines, "manifest ok {MANIFEST_OK}, failed {MANIFEST_FAILED}");
    _ = writeln!(lines, "frame text {FRAME_TEXT}, binary {FRAME_BINARY}");
    _ = writeln!(lines, "\nPreamble: {} bytes, aligned to {}", size_of::<Preamble>(), align_of::<Preamble>());
    for (name, offset) in [
        ("magic", offset_of!(Preamble, magic)),
        ("abi_version", offset_of!(Preamble, abi_version)),
        ("panic_strategy", offset_of!(Preamble, panic_strategy)),
        ("rustc", offset_of!(Preamble, rustc)),
        ("target", offset_of!(Preamble, target)),
    ] {
        _ = writeln!(lines, "    {name} at {offset}");
    }
    let (size, align) = (size_of::<ManifestBytes>(), align_of::<ManifestBytes>());
    _ = writeln!(lines, "\nManifestBytes: {size} bytes, aligned to {align}");
    for (name, offset) in [
        ("status", offset_of!(ManifestBytes, status)),
        ("data", offset_of!(ManifestBytes, data)),
        ("len", offset_of!(ManifestBytes, len)),
    ] {
        _ = writeln!(lines, "    {name} at {offset}");
    }
    lines
}

/// Every type that `abi_stable` compares, and those that it leads to.
fn types() -> String {
    let mut walk = Walk::default();
    for root in [
        PluginModuleRef::LAYOUT,
        PluginInstanceBox::LAYOUT,
        HostApiBox::LAYOUT,
        StreamEndBox::LAYOUT,
        Frame::LAYOUT,
        TrySendError::LAYOUT,
    ] {
        walk.visit(root);
    }
    walk.text
}

#[derive(Default)]
struct Walk {
    seen: Vec<UTypeId>,
    text: String,
}

impl Walk {
    fn visit(&mut self, layout: &'static TypeLayout) {
        let id = layout.get_utypeid();
        if self.seen.contains(&id) {
            return;
        }
        self.seen.push(id);
        let (size, align) = (layout.size(), layout.alignment());
        let from = format!("{} {}", layout.package(), layout.package_version());
        _ = writeln!(self.text, "\n{} ({from}): {size} bytes, aligned to {align}", layout.full_type());
        let next = match layout.data() {
            TLData::Primitive(primitive) => {
                _ = writeln!(self.text, "    primitive {primitive:?}");
                Vec::new()
            }
            TLData::Opaque => {
                _ = writeln!(self.text, "    opaque");
                Vec::new()
            }
            TLData::Struct { fields } => self.fields("", fields),
            TLData::Union { fields } => self.fields("union ", fields),
            TLData::Enum(data) => {
                _ = writeln!(self.text, "    variants {}", data.variant_names);
                _ = writeln!(self.text, "    discriminants {:?}", data.discriminants);
                _ = writeln!(self.text, "    fields of each {:?}", data.field_count.as_slice());
                self.fields("", data.fields)
            }
            TLData::PrefixType(data) => {
                _ = writeln!(self.text, "    may grow after field {}", data.first_suffix_field);
                self.fields("", data.fields)
            }
        };
        let hidden = self.fields("phantom ", layout.phantom_fields());
        next.into_iter().chain(hidden).for_each(|layout| self.visit(layout));
    }

    /// Writes the fields, and gives what they lead to.
    fn fields(&mut self, what: &str, fields: TLFields) -> Vec<&'static TypeLayout> {
        fields.iter().flat_map(|field| self.field(what, field)).collect()
    }

    fn field(&mut self, what: &str, field: TLField) -> Vec<&'static TypeLayout> {
        _ = writeln!(self.text, "    {what}{}: {}", field.name(), field.full_type());
        let mut next = vec![field.layout()];
        for function in field.function_range().iter() {
            _ = writeln!(self.text, "        {}", one_line(&function.to_string()));
            next.extend(of_function(&function));
        }
        next
    }
}

fn of_function(function: &TLFunction) -> Vec<&'static TypeLayout> {
    let parameters = function.param_type_layouts.iter().map(|layout| layout());
    let returned = function.return_type_layout().map(|layout| layout());
    parameters.chain(returned).collect()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
