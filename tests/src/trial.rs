//! A function becomes a test that can be skipped when it runs: it returns `()`, or `Outcome` if it needs a partner.

use libtest_mimic::{Completion, Failed, Trial};

use crate::partners::Missing;

/// How a test ends that needs a partner. A failure is a panic, as everywhere.
pub type Outcome = Result<(), Missing>;

/// What a test function may return.
pub trait Ending {
    /// Completed, or skipped with a reason.
    fn completion(self) -> Completion;
}

impl Ending for () {
    fn completion(self) -> Completion {
        Completion::Completed
    }
}

impl Ending for Outcome {
    fn completion(self) -> Completion {
        self.err().map_or(Completion::Completed, Completion::ignored_with)
    }
}

/// The test of this name. Under `CI=true` nothing is skipped: a missing partner is a failure.
pub fn trial<E: Ending>(module: &str, name: &str, test: impl FnOnce() -> E + Send + 'static) -> Trial {
    let subject = module.rsplit("::").next().unwrap_or(module);
    Trial::ignorable_test(format!("{subject}::{name}"), move || match test().completion() {
        Completion::Ignored { reason } if in_ci() => Err(Failed::from(reason.unwrap_or_default())),
        completion => Ok(completion),
    })
}

/// All tests of a file: `trials![a_test, another]`.
#[macro_export]
macro_rules! trials {
    ($($test:ident),+ $(,)?) => {
        vec![$($crate::trial::trial(module_path!(), stringify!($test), $test)),+]
    };
}

fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}
