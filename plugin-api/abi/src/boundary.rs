//! What `abi_stable` checks field by field: the root module of a library and the three kinds of object that pass the
//! boundary. Every method returns at once or gives a future; none may unwind, for a panic that leaves the library
//! that raised it ends the process. Both sides wrap what they offer accordingly.

// The derives write modules and casts of their own, which our lints would judge.
#![allow(unused_qualifications, clippy::all, missing_docs)]
#![expect(non_local_definitions, reason = "written by `#[sabi_trait]` of abi_stable 0.11")]

use abi_stable::{
    StableAbi, declare_root_module_statics,
    library::RootModule,
    package_version_strings, sabi_trait,
    sabi_types::VersionStrings,
    std_types::{RBox, RResult, RVec},
};
use async_ffi::FfiFuture;

/// JSON in both cases: the response, or the `OperationError` or `Failure` that took its place.
pub type Reply = RResult<RVec<u8>, RVec<u8>>;

/// [`Frame::kind`]: the data is UTF-8 text.
pub const FRAME_TEXT: u8 = 0;

/// [`Frame::kind`]: the data is arbitrary bytes.
pub const FRAME_BINARY: u8 = 1;

/// One message on a stream.
#[repr(C)]
#[derive(StableAbi)]
pub struct Frame {
    /// [`FRAME_TEXT`] or [`FRAME_BINARY`].
    pub kind: u8,
    /// The message.
    pub data: RVec<u8>,
}

/// What [`StreamEnd::try_send`] did not send.
#[repr(u8)]
#[derive(StableAbi)]
pub enum TrySendError {
    /// The other side has not taken what it was sent before: here is the frame again.
    Full(Frame),
    /// The stream is closed; the bytes are its close reason as JSON.
    Closed(RVec<u8>),
}

/// One end of a stream, made by the host. Both directions are bounded queues; dropping an end closes the stream.
#[sabi_trait]
pub trait StreamEnd: Send + Sync + 'static {
    /// Waits for room and sends. The error is the close reason as JSON.
    fn send(&self, frame: Frame) -> FfiFuture<RResult<(), RVec<u8>>>;
    /// Sends if there is room now.
    fn try_send(&self, frame: Frame) -> RResult<(), TrySendError>;
    /// Waits for the next frame. The error is the close reason as JSON, after all frames sent before it.
    fn recv(&self) -> FfiFuture<RResult<Frame, RVec<u8>>>;
    /// Closes both directions; the reason is JSON. Only the first reason of a stream counts.
    #[sabi(last_prefix_field)]
    fn close(&self, reason: RVec<u8>);
}

/// An owned end of a stream.
pub type StreamEndBox = StreamEnd_TO<RBox<()>>;

/// What a plugin may ask of the host. Made by the host, one for each instance.
#[sabi_trait]
pub trait HostApi: Send + Sync + 'static {
    /// Calls an operation of another plugin, or of the host itself; `header` is a call header as JSON.
    fn call(&self, header: RVec<u8>, payload: RVec<u8>) -> FfiFuture<Reply>;
    /// Opens a stream to another plugin.
    fn open(&self, header: RVec<u8>, payload: RVec<u8>) -> FfiFuture<RResult<StreamEndBox, RVec<u8>>>;
    /// Takes one log record as JSON. Returns at once, from any thread.
    #[sabi(last_prefix_field)]
    fn log(&self, record: RVec<u8>);
}

/// An owned handle of the host.
pub type HostApiBox = HostApi_TO<RBox<()>>;

/// A plugin's instance. Made by the plugin; all of its code runs on the plugin's own runtime. Dropping a future that
/// it returned aborts the work; dropping the instance ends its runtime without waiting for it.
#[sabi_trait]
pub trait PluginInstance: Send + Sync + 'static {
    /// Brings the instance up. May be called again after it failed.
    fn init(&self, request: RVec<u8>) -> FfiFuture<Reply>;
    /// Asks the outside system whether it still answers.
    fn probe(&self, request: RVec<u8>) -> FfiFuture<Reply>;
    /// Lets the instance end what it began. Nothing but dropping follows.
    fn stop(&self, request: RVec<u8>) -> FfiFuture<Reply>;
    /// Runs an operation; `header` is a call header as JSON.
    fn call(&self, header: RVec<u8>, payload: RVec<u8>) -> FfiFuture<Reply>;
    /// Serves a stream: the future lasts as long as the stream is served, and its outcome is the close reason.
    #[sabi(last_prefix_field)]
    fn open(&self, header: RVec<u8>, payload: RVec<u8>, stream: StreamEndBox) -> FfiFuture<Reply>;
}

/// An owned instance.
pub type PluginInstanceBox = PluginInstance_TO<RBox<()>>;

/// What a library exports.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginModuleRef)))]
#[sabi(missing_field(panic))]
pub struct PluginModule {
    /// Makes an instance from a create request as JSON. Cheap, no I/O; the error is a `Failure` as JSON.
    #[sabi(last_prefix_field)]
    pub create: extern "C" fn(host: HostApiBox, request: RVec<u8>) -> RResult<PluginInstanceBox, RVec<u8>>,
}

impl RootModule for PluginModuleRef {
    declare_root_module_statics! {PluginModuleRef}

    const BASE_NAME: &'static str = "switchboard_plugin";
    const NAME: &'static str = "switchboard_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}
