//! Opens a library once and judges it in two stages: plain C data first, and only then the Rust behind it.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
        mpsc,
    },
    time::Duration,
};

use abi_stable::library::AbiHeaderRef;
use libloading::Library as Handle;
use plugin_abi::{
    boundary::PluginModuleRef,
    preamble::{
        self, ABI_VERSION, MAGIC, MANIFEST_OK, MANIFEST_SYMBOL, ManifestFn, PANIC_UNWIND, PREAMBLE_SYMBOL,
        Preamble, ROOT_SYMBOL, RUSTC, TARGET,
    },
};
use plugin_api::{files, manifest::Manifest};

use super::{
    Library, LoadError, Obstacle, Origin, elf,
    foreign::ForeignLibrary,
    manifest::{self, Unfit},
};
use crate::scrub::one_line;

static OPEN: AtomicI64 = AtomicI64::new(0);

/// How long the initialisers of a library may run.
const OPEN_LIMIT: Duration = Duration::from_secs(10);

/// The file of a library's name in a folder: `libdatabase.so` for `database`.
pub fn path_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{}{name}{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX))
}

/// Opens a library, judges it and reads its manifest. Blocks, for up to ten seconds if the library does.
///
/// # Errors
/// Why it cannot be used. It may have been mapped all the same, and then stays.
pub fn open(path: &Path) -> Result<Arc<dyn Library>, LoadError> {
    let file = path.to_owned();
    let looked = files::within(files::PATIENCE, move || elf::check(&file));
    looked.unwrap_or_else(|| Err(LoadError::TooSlow(path.to_owned())))?;
    let (done, opened) = mpsc::channel();
    let file = path.to_owned();
    // Initialisers run on a thread of their own, which is given up if they do not end.
    let thread = std::thread::Builder::new().name("loader".into());
    let spawned = thread.spawn(move || {
        // Nobody waits any more if the limit has passed.
        let _ = done.send(open_here(&file));
    });
    spawned.map_err(|error| LoadError::NoThread(path.to_owned(), error))?;
    match opened.recv_timeout(OPEN_LIMIT) {
        Ok(outcome) => outcome.map(|library| Arc::new(library) as Arc<dyn Library>),
        Err(_) => Err(LoadError::Hangs(path.to_owned(), OPEN_LIMIT)),
    }
}

fn open_here(path: &Path) -> Result<ForeignLibrary, LoadError> {
    let handle = map(path)?;
    let origin = judge_preamble(path, handle)?;
    let manifest = read_manifest(path, handle)?;
    let module = root_module(path, handle, &origin)?;
    Ok(ForeignLibrary::new(manifest, origin, module))
}

/// Maps the library for the rest of the process: there is no sound way to unload Rust code.
fn map(path: &Path) -> Result<&'static Handle, LoadError> {
    // SAFETY: opening runs the library's initialisers; that is what naming it in plugins.toml agrees to.
    let handle = unsafe { Handle::new(path) };
    let handle = handle
        .map_err(|error| LoadError::Linker(path.to_owned(), Obstacle::read(&linker_text(&error), path)))?;
    OPEN.fetch_add(1, Ordering::Relaxed);
    Ok(Box::leak(Box::new(handle)))
}

/// How many libraries this process has opened, those included that were refused after that.
pub fn open_count() -> i64 {
    OPEN.load(Ordering::Relaxed)
}

/// The linker's own words.
fn linker_text(error: &libloading::Error) -> String {
    std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string)
}

/// The first stage: C data only.
fn judge_preamble(path: &Path, handle: &'static Handle) -> Result<Origin, LoadError> {
    let path = path.to_owned();
    // SAFETY: the symbol is data of the preamble's layout in every library that `export_plugin!` made; of others only
    // the marker at its start is read before it is trusted.
    let preamble = match unsafe { handle.get::<*const Preamble>(PREAMBLE_SYMBOL) } {
        Ok(symbol) => *symbol,
        Err(_) => return Err(LoadError::NoSymbol(path, "switchboard_preamble")),
    };
    // SAFETY: as above; the marker is the first field.
    let magic = unsafe { (*preamble).magic };
    if magic != MAGIC {
        return Err(LoadError::NotOurs(path));
    }
    // SAFETY: the marker says that this is a preamble, whose layout is frozen.
    let preamble = unsafe { *preamble };
    let origin = Origin {
        path: path.clone(),
        rustc: preamble::text(&preamble.rustc),
        target: preamble::text(&preamble.target),
        abi_version: preamble.abi_version,
    };
    if preamble.abi_version != ABI_VERSION {
        return Err(LoadError::AbiVersion { path, plugin: preamble.abi_version, host: ABI_VERSION });
    }
    if origin.target != TARGET {
        return Err(LoadError::Target { path, plugin: origin.target, host: TARGET.to_owned() });
    }
    if preamble.panic_strategy != PANIC_UNWIND {
        let plugin = if preamble.panic_strategy == preamble::PANIC_ABORT { "abort" } else { "unknown" };
        return Err(LoadError::PanicStrategy { path, plugin: plugin.to_owned() });
    }
    Ok(origin)
}

/// Between the stages: the manifest, by a C function that never unwinds.
fn read_manifest(path: &Path, handle: &'static Handle) -> Result<Manifest, LoadError> {
    // SAFETY: the preamble says that `export_plugin!` made this library, so the symbol is this function.
    let function = match unsafe { handle.get::<ManifestFn>(MANIFEST_SYMBOL) } {
        Ok(symbol) => *symbol,
        Err(_) => return Err(LoadError::NoSymbol(path.to_owned(), "switchboard_manifest")),
    };
    let bytes = function();
    // SAFETY: the function gives memory that lives as long as the library, which is for ever.
    let json = unsafe { std::slice::from_raw_parts(bytes.data, bytes.len) };
    if bytes.status != MANIFEST_OK {
        return Err(LoadError::NoManifest(path.to_owned(), one_line(&String::from_utf8_lossy(json))));
    }
    manifest::read(json).map_err(|unfit| match unfit {
        Unfit::Unreadable(reason) => LoadError::NoManifest(path.to_owned(), reason),
        Unfit::Nonsense(problems) => LoadError::BadManifest(path.to_owned(), problems),
    })
}

/// The second stage: `abi_stable` compares the layout of everything that passes the boundary.
fn root_module(path: &Path, handle: &'static Handle, origin: &Origin) -> Result<PluginModuleRef, LoadError> {
    // SAFETY: the preamble says that `export_plugin!` made this library, so the symbol is abi_stable's header.
    let header = match unsafe { handle.get::<AbiHeaderRef>(ROOT_SYMBOL) } {
        Ok(symbol) => *symbol,
        Err(_) => return Err(LoadError::NoSymbol(path.to_owned(), "switchboard_root")),
    };
    header.upgrade().and_then(|header| header.init_root_module::<PluginModuleRef>()).map_err(|error| {
        LoadError::Layout {
            path: path.to_owned(),
            plugin: origin.rustc.clone(),
            host: RUSTC,
            difference: error.to_string(),
        }
    })
}
