//! Files under the name of a library that no host should load, beside the fixtures that are built.

use std::fs;

use crate::artifacts::artifacts;

/// A file that is no library at all.
pub fn text() -> Vec<u8> {
    b"this is no library\n".to_vec()
}

/// A library whose download broke off: its head is sound and promises more than there is.
pub fn truncated() -> Vec<u8> {
    let mut library = sound();
    library.truncate(library.len() / 2);
    library
}

/// A library of another kind of processor, by the machine field of its ELF header.
pub fn foreign() -> Vec<u8> {
    const MACHINE: usize = 18;
    const EM_S390: u8 = 22;
    let mut library = sound();
    library[MACHINE] = EM_S390;
    library
}

/// What every library of Rust needs on Linux.
const RUNTIME: &[u8] = b"libgcc_s.so.1\0";

/// A sound library that needs `libgone.so.99`.
pub fn needing_another() -> Vec<u8> {
    replaced(RUNTIME, b"libgone.so.99\0")
}

/// What serves as `libgone.so.99`.
pub fn the_other() -> Vec<u8> {
    let places = ["/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/lib64", "/usr/lib64", "/usr/lib"];
    let found = places.iter().find_map(|place| fs::read(format!("{place}/libgcc_s.so.1")).ok());
    found.expect("what this test itself runs on is one of these folders")
}

/// A sound library that needs a system that nobody has yet.
pub fn newer() -> Vec<u8> {
    replaced(b"GLIBC_2.", b"GLIBC_9.")
}

/// The bytes of a sound library with one text exchanged for another of the same length.
fn replaced(text: &[u8], other: &[u8]) -> Vec<u8> {
    assert_eq!(text.len(), other.len());
    let mut library = sound();
    let places: Vec<usize> =
        (0..=library.len() - text.len()).filter(|place| library[*place..].starts_with(text)).collect();
    assert!(!places.is_empty(), "the library has {}", String::from_utf8_lossy(text));
    for place in places {
        library[place..place + other.len()].copy_from_slice(other);
    }
    library
}

fn sound() -> Vec<u8> {
    fs::read(artifacts().library("faulty")).expect("the workspace builds the fixture")
}
