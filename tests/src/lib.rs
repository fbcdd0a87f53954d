//! The test harness: the real binary with real libraries against real partners.
