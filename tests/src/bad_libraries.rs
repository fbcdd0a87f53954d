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

fn sound() -> Vec<u8> {
    fs::read(artifacts().library("faulty")).expect("the workspace builds the fixture")
}
