//! Brings what a plugin logs to the host. Each library has its own copy of `tracing` and `log`, invisible to the
//! host's subscriber; this installs one subscriber in each that hands events over with the instance they belong to.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    fmt,
    sync::{
        Arc, Mutex, Once, OnceLock, PoisonError, Weak,
        atomic::{AtomicU8, Ordering},
    },
};

use serde_json::{Map, Value};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    subscriber::Interest,
};
use tracing_log::NormalizeEvent;
use tracing_subscriber::{
    layer::{Context as LayerContext, Layer, SubscriberExt},
    registry,
};

use crate::{
    context::{Call, HostHandle},
    protocol::LogRecord,
};

/// Where the log of one instance goes, and how much of it.
pub(crate) struct InstanceLog {
    name: String,
    level: AtomicU8,
    host: HostHandle,
}

thread_local! {
    /// The instance that this thread works for.
    static INSTANCE: RefCell<Option<Arc<InstanceLog>>> = const { RefCell::new(None) };
    /// What the last panic on this thread said, and where.
    static PANIC: Cell<Option<String>> = const { Cell::new(None) };
    /// Whether a panic on this thread will be answered for by the code around it.
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// All instances of this library: the most talkative one decides what the callsites make at all.
static INSTANCES: Mutex<Vec<Weak<InstanceLog>>> = Mutex::new(Vec::new());

impl InstanceLog {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Marks the current thread as one of this instance.
    pub(crate) fn enter_thread(self: &Arc<Self>) {
        INSTANCE.with_borrow_mut(|current| *current = Some(self.clone()));
    }

    /// Sets the least severe level that is handed over.
    pub(crate) fn set_level(&self, level: &str) -> Result<(), String> {
        let filter: LevelFilter = level.parse().map_err(|_| {
            format!("`{level}` is no level of a log: it is one of off, error, warn, info, debug, trace")
        })?;
        self.level.store(rank(filter), Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
        Ok(())
    }

    fn wants(&self, level: Level) -> bool {
        rank(LevelFilter::from_level(level)) <= self.level.load(Ordering::Relaxed)
    }
}

/// Makes the log of an instance, and this library's subscriber if it is the first one.
pub(crate) fn attach(name: &str, level: &str, host: HostHandle) -> Arc<InstanceLog> {
    let log =
        Arc::new(InstanceLog { name: name.to_owned(), level: AtomicU8::new(rank(LevelFilter::INFO)), host });
    let mut instances = INSTANCES.lock().unwrap_or_else(PoisonError::into_inner);
    instances.retain(|instance| instance.strong_count() > 0);
    instances.push(Arc::downgrade(&log));
    drop(instances);
    install();
    // An unknown level leaves `info`: the host checks what it sends.
    let _ = log.set_level(level);
    log
}

/// Runs code whose panic becomes an error of the operation: the panic hook only remembers it.
pub(crate) fn contained<T>(work: impl FnOnce() -> T) -> T {
    CONTAINED.set(true);
    let result = work();
    CONTAINED.set(false);
    result
}

/// The text and place of the last panic on this thread.
pub(crate) fn take_panic() -> Option<String> {
    CONTAINED.set(false);
    PANIC.take()
}

fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // In-process tests may have a subscriber of their own, which then stays.
        let _ = tracing::subscriber::set_global_default(registry().with(ToHost));
        let _ = tracing_log::LogTracer::init();
    });
    catch_words_of_panics();
}

/// Panics are told to the host. The standard library's hook would write to standard error, and wait for its reader.
fn catch_words_of_panics() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let previous = std::panic::take_hook();
        let in_library = in_library();
        std::panic::set_hook(Box::new(move |info| {
            let text = panic_text(info.payload());
            let place = info.location().map(|place| format!(" at {}:{}", place.file(), place.line()));
            let text = format!("{text}{}", place.unwrap_or_default());
            if CONTAINED.get() || Call::current().is_some() {
                PANIC.set(Some(text));
            } else if in_library {
                tracing::error!("panicked: {text}");
            } else {
                previous(info);
            }
        }));
    });
}

/// Whether this copy of the SDK lives in a plugin's library; in-process tests keep their own panic hook.
fn in_library() -> bool {
    IN_LIBRARY.get().is_some()
}

/// Set by the exported entry points.
static IN_LIBRARY: OnceLock<()> = OnceLock::new();

/// Says that this copy of the SDK lives in a plugin's library.
pub(crate) fn mark_library() {
    let _ = IN_LIBRARY.set(());
    catch_words_of_panics();
}

/// The layer that hands events to the host.
struct ToHost;

impl<S: Subscriber> Layer<S> for ToHost {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        let wanted = LevelFilter::from_level(*metadata.level()) <= most_talkative();
        if wanted { Interest::sometimes() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: LayerContext<'_, S>) -> bool {
        current().is_some_and(|instance| instance.wants(*metadata.level()))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(most_talkative())
    }

    fn on_event(&self, event: &Event<'_>, _: LayerContext<'_, S>) {
        let Some(instance) = current() else { return };
        // Events of the `log` crate carry their real target and level in fields.
        let normalized = event.normalized_metadata();
        let metadata = normalized.as_ref().unwrap_or_else(|| event.metadata());
        if !instance.wants(*metadata.level()) {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        let record = LogRecord {
            level: metadata.level().to_string(),
            target: metadata.target().to_owned(),
            message: fields.message,
            fields: fields.others,
            trace: Call::current().and_then(|call| call.trace().map(str::to_owned)),
        };
        if let Ok(record) = serde_json::to_vec(&record) {
            instance.host.log(record.into());
        }
    }
}

/// The instance of this thread; a thread that the plugin started by itself belongs to the first instance.
fn current() -> Option<Arc<InstanceLog>> {
    INSTANCE.try_with(|instance| instance.borrow().clone()).ok().flatten().or_else(|| {
        let instances = INSTANCES.lock().unwrap_or_else(PoisonError::into_inner);
        instances.iter().find_map(Weak::upgrade)
    })
}

fn most_talkative() -> LevelFilter {
    let instances = INSTANCES.lock().unwrap_or_else(PoisonError::into_inner);
    let levels = instances.iter().filter_map(Weak::upgrade).map(|log| log.level.load(Ordering::Relaxed));
    [
        LevelFilter::OFF,
        LevelFilter::ERROR,
        LevelFilter::WARN,
        LevelFilter::INFO,
        LevelFilter::DEBUG,
        LevelFilter::TRACE,
    ][usize::from(levels.max().unwrap_or(0).min(5))]
}

/// 0 for `off` to 5 for `trace`.
fn rank(filter: LevelFilter) -> u8 {
    match filter.into_level() {
        None => 0,
        Some(Level::ERROR) => 1,
        Some(Level::WARN) => 2,
        Some(Level::INFO) => 3,
        Some(Level::DEBUG) => 4,
        Some(Level::TRACE) => 5,
    }
}

/// The fields of an event as JSON, its message apart.
#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match field.name() {
            // The text comes first. A field of the same name must not overwrite it.
            "message" if self.message.is_empty() => {
                self.message = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            }
            // What `tracing-log` adds is in the normalized metadata already.
            name if name.starts_with("log.") => {}
            name => drop(self.others.insert(name.to_owned(), value)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, Value::String(format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Value::String(value.to_owned()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
}

/// What a panic says, if it says it as text.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a value that is not text".to_owned())
}
