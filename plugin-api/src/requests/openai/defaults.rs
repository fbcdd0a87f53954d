//! The models of OpenAI that are used where nobody chose one, in one place. `GET /v1/models` tells when each is shut down
//! (`shutdown_date`); `switchboard doctor` warns of it.

/// Answers chats. OpenAI names it as the replacement of its smaller models; in a chat it calls tools only without thinking,
/// which the `openai` plugin finds out.
pub const CHAT: &str = "gpt-6-luna";
/// Makes vectors. Vectors of another model are not comparable: changed, every memory gets a new one.
pub const EMBEDDING: &str = "text-embedding-3-small";
/// Speaks in realtime sessions.
pub const REALTIME: &str = "gpt-realtime-2.1";
/// Puts into words what a caller says in a realtime session. OpenAI's guide on voice activity detection names the models of
/// transcription without it, and this is none of them (`gpt-live-transcribe` and `gpt-realtime-whisper` are); those before it
/// end on 2027-02-26. In sessions of transcription alone it was seen to need a commit by the client
/// (JINGBANZ/jarvis#132); in a conversation the server commits each turn.
pub const TRANSCRIPTION: &str = "gpt-transcribe";
