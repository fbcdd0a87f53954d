//! A scripted Realtime API on a port, for those who try out calls without OpenAI:
//! `cargo run -p switchboard-tests --example realtime -- 4010 script.json`. Without a script it greets, and agrees.

use std::{env, fs, process::ExitCode, thread};

use switchboard_tests::partners::realtime::{Answer, Realtime, Script, Turn};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let port = arguments.first().and_then(|port| port.parse().ok()).unwrap_or(4010);
    let script = match arguments.get(1).map(read) {
        None => Script::new([Turn::new("", [Answer::say("Hello, how can I help you?", 1800)])]),
        Some(Ok(script)) => script,
        Some(Err(error)) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let server = Realtime::listen(script, port);
    println!("OPENAI_REALTIME_API_URL={} OPENAI_BASE_URL=http://{}/v1", server.url(), server.address());
    loop {
        thread::park();
    }
}

fn read(file: &String) -> Result<Script, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("`{file}` cannot be read: {error}"))?;
    Script::read(&text).map_err(|error| format!("`{file}` is no script: {error}"))
}
