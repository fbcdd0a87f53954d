//! Plain C data and one C function, by which the host judges a library before any of its Rust code runs.

/// Marks a library as a Switchboard plugin.
pub const MAGIC: [u8; 16] = *b"SWITCHBOARD-PLUG";

/// The version of everything in this crate. A host loads plugins of exactly its own.
pub const ABI_VERSION: u32 = 1;

/// The compiler that built this copy of the crate, as `rustc --version` prints it.
pub const RUSTC: &str = env!("SWITCHBOARD_RUSTC");

/// The target triple that this copy of the crate was built for.
pub const TARGET: &str = env!("SWITCHBOARD_TARGET");

/// The symbol of the [`Preamble`].
pub const PREAMBLE_SYMBOL: &[u8] = b"switchboard_preamble\0";

/// The symbol of the [`ManifestFn`].
pub const MANIFEST_SYMBOL: &[u8] = b"switchboard_manifest\0";

/// The symbol of `abi_stable`'s header, which leads to [`crate::boundary::PluginModuleRef`].
pub const ROOT_SYMBOL: &[u8] = b"switchboard_root\0";

/// Panics unwind in this library, so that they can be contained.
pub const PANIC_UNWIND: u32 = 1;

/// A panic ends the process: such a library is refused.
pub const PANIC_ABORT: u32 = 2;

/// What a library says about itself as data. Text is UTF-8, padded with NUL.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Preamble {
    /// [`MAGIC`].
    pub magic: [u8; 16],
    /// [`ABI_VERSION`] of the plugin.
    pub abi_version: u32,
    /// [`PANIC_UNWIND`] or [`PANIC_ABORT`].
    pub panic_strategy: u32,
    /// [`RUSTC`] of the plugin: shown, and no reason to refuse.
    pub rustc: [u8; 96],
    /// [`TARGET`] of the plugin.
    pub target: [u8; 64],
}

impl Preamble {
    /// The preamble of a library built with this crate; `unwinds` is the plugin's own `cfg!(panic = "unwind")`.
    pub const fn new(unwinds: bool) -> Self {
        Self {
            magic: MAGIC,
            abi_version: ABI_VERSION,
            panic_strategy: if unwinds { PANIC_UNWIND } else { PANIC_ABORT },
            rustc: padded(RUSTC),
            target: padded(TARGET),
        }
    }
}

/// The bytes of `text`, cut or padded with NUL to `N`.
const fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [0; N];
    let bytes = text.as_bytes();
    let mut index = 0;
    while index < bytes.len() && index < N {
        field[index] = bytes[index];
        index += 1;
    }
    field
}

/// The text of a padded field, up to its first NUL; bytes that are not UTF-8 are replaced.
pub fn text(field: &[u8]) -> String {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// [`ManifestBytes::status`]: the bytes are the manifest as JSON.
pub const MANIFEST_OK: u32 = 0;

/// [`ManifestBytes::status`]: the bytes say why there is no manifest.
pub const MANIFEST_FAILED: u32 = 1;

/// The manifest as JSON, or why there is none. The memory belongs to the library and is never freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ManifestBytes {
    /// [`MANIFEST_OK`] or [`MANIFEST_FAILED`].
    pub status: u32,
    /// The first of [`ManifestBytes::len`] bytes of UTF-8.
    pub data: *const u8,
    /// How many bytes.
    pub len: usize,
}

/// The function behind [`MANIFEST_SYMBOL`]. It may be called from any thread, does no I/O and never unwinds.
pub type ManifestFn = extern "C" fn() -> ManifestBytes;
