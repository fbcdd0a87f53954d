//! Conversations.

/// A conversation as a machine, with a clock and a model of the test's own.
mod machine;
/// The model answers, one answer at a time.
mod answering;
/// The caller interrupts.
mod interrupting;
/// Tools are called.
mod calling;
/// The connection is renewed, or breaks.
mod linking;
/// The conversation ends.
mod ending;
/// Whatever happens in whatever order.
mod random;
/// Audio and its clocks.
mod clocks;
/// How much of a text was heard.
mod hearing;
/// The events of OpenAI's Realtime API.
mod events;
/// What the model is told at the beginning.
mod prompting;
/// The settings.
mod reading_settings;
/// What a conversation meets.
mod world;
/// All of it, with a scripted model.
mod driving;
