//! What `export_plugin!` puts into a library: plain C data first, then the manifest, then `abi_stable`'s header.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::OnceLock,
};

pub use abi_stable::library::{CheckTypeLayout, LibHeader};
use abi_stable::{
    library::RootModuleResult,
    prefix_type::PrefixTypeTrait,
    sabi_trait::TD_Opaque,
    std_types::{RResult, RVec},
};
pub use plugin_abi::{
    boundary::PluginModuleRef,
    preamble::{ManifestBytes, Preamble},
};
use plugin_abi::{
    boundary::{HostApiBox, PluginInstance_TO, PluginInstanceBox, PluginModule},
    preamble::{MANIFEST_FAILED, MANIFEST_OK},
};

use crate::{
    error::{Failure, ReasonCode},
    instance::Instance,
    logging,
    logging::panic_text,
    plugin::Plugin,
};

/// Exports a type that implements [`Plugin`] from a `cdylib`: once in a library, at the end of `lib.rs`.
#[macro_export]
macro_rules! export_plugin {
    ($plugin:ty) => {
        const _: () = {
            #[unsafe(export_name = "switchboard_preamble")]
            pub static PREAMBLE: $crate::export::Preamble =
                $crate::export::Preamble::new(cfg!(panic = "unwind"));

            #[unsafe(export_name = "switchboard_manifest")]
            pub extern "C" fn manifest() -> $crate::export::ManifestBytes {
                $crate::export::manifest::<$plugin>(env!("CARGO_PKG_VERSION"))
            }

            extern "C" fn root_module() -> $crate::export::RootModuleOutcome {
                $crate::export::root_module::<$plugin>()
            }

            // SAFETY: `root_module` gives a `PluginModuleRef`, erased.
            #[unsafe(export_name = "switchboard_root")]
            pub static ROOT: $crate::export::LibHeader = unsafe {
                $crate::export::LibHeader::from_constructor::<$crate::export::PluginModuleRef>(
                    root_module,
                    $crate::export::CheckTypeLayout::Yes,
                )
            };
        };
    };
}

/// What [`root_module`] gives.
pub type RootModuleOutcome = RootModuleResult;

/// The manifest of `P` as JSON in memory that is never freed, or the reason why there is none.
pub fn manifest<P: Plugin>(version: &str) -> ManifestBytes {
    static JSON: OnceLock<(u32, Vec<u8>)> = OnceLock::new();
    let (status, bytes) = JSON.get_or_init(|| {
        logging::mark_library();
        let made = catch_unwind(AssertUnwindSafe(|| serde_json::to_vec(&P::manifest().finish(version).0)));
        match made {
            Ok(Ok(json)) => (MANIFEST_OK, json),
            Ok(Err(error)) => (MANIFEST_FAILED, error.to_string().into_bytes()),
            Err(panic) => {
                (MANIFEST_FAILED, format!("`manifest` panicked: {}", panic_text(panic.as_ref())).into_bytes())
            }
        }
    });
    ManifestBytes { status: *status, data: bytes.as_ptr(), len: bytes.len() }
}

/// The root module of a library that exports `P`, erased as `abi_stable` wants it.
pub fn root_module<P: Plugin>() -> RootModuleResult {
    fn module<P: Plugin>() -> PluginModuleRef {
        PluginModule { create: create::<P> }.leak_into_prefix()
    }
    abi_stable::library::__call_root_module_loader(module::<P>)
}

/// The entry behind `PluginModule::create`.
extern "C" fn create<P: Plugin>(host: HostApiBox, request: RVec<u8>) -> RResult<PluginInstanceBox, RVec<u8>> {
    let made = catch_unwind(AssertUnwindSafe(|| Instance::<P>::create(host.into(), &request)));
    let failure = match made {
        Ok(Ok(instance)) => return RResult::ROk(PluginInstance_TO::from_value(instance, TD_Opaque)),
        Ok(Err(failure)) => failure,
        Err(panic) => Failure::new(ReasonCode::Panicked, format!("panicked: {}", panic_text(panic.as_ref()))),
    };
    RResult::RErr(serde_json::to_vec(&failure).unwrap_or_default().into())
}
