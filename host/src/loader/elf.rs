//! Looks at a file before the linker maps it: mapping a truncated library succeeds, and reading it then ends the
//! process with SIGBUS. Other formats than ELF are left to the system's linker.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

use object::{
    Endianness,
    elf::{
        EM_386, EM_AARCH64, EM_ARM, EM_PPC64, EM_RISCV, EM_S390, EM_X86_64, ET_DYN, FileHeader64, Machine,
    },
    read::elf::{FileHeader, ProgramHeader},
};
use plugin_api::files;

use super::LoadError;

/// Where a library's headers stand: linkers put them first.
const HEADERS: u64 = 256 * 1024;

/// Refuses what is no library, and what is shorter than its own headers say.
pub(super) fn check(path: &Path) -> Result<(), LoadError> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => LoadError::Missing(path.to_owned()),
        _ => LoadError::Unreadable(path.to_owned(), error),
    };
    // Before it is opened, which would wait for the writer of a pipe.
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if let Some(what) = files::other_kind(metadata.file_type()) {
        return Err(LoadError::NotALibrary(path.to_owned(), what));
    }
    let mut data = Vec::new();
    File::open(path).and_then(|file| file.take(HEADERS).read_to_end(&mut data)).map_err(unreadable)?;
    if cfg!(not(target_os = "linux")) {
        return Ok(());
    }
    if !data.starts_with(b"\x7fELF") {
        return Err(LoadError::NotALibrary(path.to_owned(), guess(&data)));
    }
    let found = metadata.len();
    match needed_length(&data, found) {
        Some(needed) if needed <= found => Ok(()),
        Some(needed) => Err(LoadError::Truncated { path: path.to_owned(), found, needed }),
        None if found < 64 => Err(LoadError::Truncated { path: path.to_owned(), found, needed: 64 }),
        None => Err(another_kind(path, &data)),
    }
}

/// What is whole, and no library of this machine.
fn another_kind(path: &Path, data: &[u8]) -> LoadError {
    let machine = machine(data);
    match machine.filter(|machine| own_machine().is_some_and(|own| own != *machine)) {
        Some(machine) => LoadError::Processor {
            path: path.to_owned(),
            found: processor(machine),
            host: std::env::consts::ARCH,
        },
        None => LoadError::NotALibrary(path.to_owned(), "a program or an object file"),
    }
}

/// The kind of processor that an ELF header names; its place is the same in files of 32 and of 64 bits.
fn machine(data: &[u8]) -> Option<Machine> {
    const BIG_ENDIAN: u8 = 2;
    let bytes: [u8; 2] = data.get(18..20)?.try_into().ok()?;
    let number =
        if data.get(5) == Some(&BIG_ENDIAN) { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) };
    Some(Machine(number))
}

/// As a person knows it.
fn processor(machine: Machine) -> String {
    let name = match machine {
        EM_X86_64 => "x86_64",
        EM_AARCH64 => "aarch64",
        EM_386 => "x86, of 32 bits",
        EM_ARM => "ARM, of 32 bits",
        EM_RISCV => "RISC-V",
        EM_S390 => "s390x",
        EM_PPC64 => "PowerPC, of 64 bits",
        _ => return format!("a processor with the ELF number {}", machine.0),
    };
    name.to_owned()
}

/// The end of the last segment that is mapped from the file and of the section table; `None` for what is no 64-bit
/// shared object of this machine.
fn needed_length(data: &[u8], length: u64) -> Option<u64> {
    let header = FileHeader64::<Endianness>::parse(data).ok()?;
    let endian = header.endian().ok()?;
    let machine = header.e_machine(endian);
    if header.e_type(endian) != ET_DYN || own_machine().is_some_and(|own| own != machine) {
        return None;
    }
    let segments_end = table_end(header.e_phoff(endian), header.e_phnum(endian), header.e_phentsize(endian));
    if segments_end > length {
        return Some(segments_end);
    }
    let segments = header.program_headers(endian, data).ok()?;
    let sections_end = table_end(header.e_shoff(endian), header.e_shnum(endian), header.e_shentsize(endian));
    let ends =
        segments.iter().map(|segment| segment.p_offset(endian).saturating_add(segment.p_filesz(endian)));
    ends.chain([segments_end, sections_end]).max()
}

/// What the headers of this machine's libraries say of it; `None` leaves the judgement to the linker.
fn own_machine() -> Option<Machine> {
    match std::env::consts::ARCH {
        "x86_64" => Some(EM_X86_64),
        "aarch64" => Some(EM_AARCH64),
        _ => None,
    }
}

fn table_end(offset: u64, entries: u16, size: u16) -> u64 {
    offset.saturating_add(u64::from(entries) * u64::from(size))
}

/// What a file is that is no library, as a person would say it.
fn guess(data: &[u8]) -> &'static str {
    match data {
        [] => "an empty file",
        data if std::str::from_utf8(&data[..data.len().min(512)]).is_ok() => "a text file",
        _ => "a binary file of another kind",
    }
}
