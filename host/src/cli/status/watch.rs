//! `switchboard status --watch`: the health of a running host as it changes: redrawn on a terminal, else a line for each
//! change, or a line of JSON. Told by the host's events where it has them; otherwise it asks, and is answered by a 304
//! while nothing changed.

mod events;
mod lines;

use std::{
    convert::Infallible,
    io::{IsTerminal, Write},
    time::Duration,
};

use reqwest::Response;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::{
    super::{Failed, client::HostClient, show},
    table,
};
use events::{Events, Told};
use lines::Lines;

const CONNECTIONS: &str = "/api/health/connections";
const EVENTS: &str = "/api/health/events";
/// How often is asked where no events come. Reads are answered from memory.
const INTERVAL: Duration = Duration::from_secs(1);
/// After so many questions, one looks whether there are events by now.
const BETWEEN_LOOKS: u32 = 15;
/// With events, something is asked all the same: they may be lost on the way.
const PATIENCE: Duration = Duration::from_secs(15);
/// Without a sign for so long, the way is cut or the host hangs: it gives one every 15 s.
const SILENCE: Duration = Duration::from_secs(25);
/// To the upper left, and nothing below.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Shows every change until the host is gone.
pub async fn watch(host: &HostClient, json: bool) -> Result<Infallible, Failed> {
    match json || std::io::stdout().is_terminal() {
        true => redraw(host, json).await,
        false => follow(host).await,
    }
}

/// Shows everything anew whenever something changed.
async fn redraw(host: &HostClient, json: bool) -> Result<Infallible, Failed> {
    let mut tag = None;
    let mut events = host.listen(EVENTS, None).await;
    let mut asked: u32 = 0;
    loop {
        if let Some((new, connections)) = host.get_if_changed(CONNECTIONS, tag.as_deref()).await? {
            tag = new;
            draw(&connections, json);
        }
        events = match events {
            Some(stream) => next(stream).await,
            None => {
                sleep(INTERVAL).await;
                asked += 1;
                if asked.is_multiple_of(BETWEEN_LOOKS) { host.listen(EVENTS, None).await } else { None }
            }
        };
    }
}

fn draw(connections: &Value, json: bool) {
    match json {
        true => print([connections]),
        false => print([format_args!("{CLEAR}{}", table(connections))]),
    }
}

/// Waits for a sign that something changed; gives the stream back as long as it lasts.
async fn next(mut stream: Response) -> Option<Response> {
    loop {
        match timeout(PATIENCE, stream.chunk()).await {
            Ok(Ok(Some(piece))) if is_comment(&piece) => {}
            Ok(Ok(Some(_))) | Err(_) => return Some(stream),
            Ok(Ok(None) | Err(_)) => return None,
        }
    }
}

/// What only keeps a connection alive.
fn is_comment(piece: &[u8]) -> bool {
    let mut lines = piece.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    lines.all(|line| line.starts_with(b":"))
}

/// Prints a line for each change, none left out as long as the host's events come.
async fn follow(host: &HostClient) -> Result<Infallible, Failed> {
    let mut lines = Lines::default();
    let (mut last, mut tag) = (None, None);
    loop {
        while let Some(stream) = host.listen(EVENTS, last.as_deref()).await {
            if read(stream, &mut lines, &mut last).await == End::Silence {
                break;
            }
            sleep(INTERVAL).await;
        }
        // What is asked for now shows what happened since.
        last = None;
        for _ in 0..BETWEEN_LOOKS {
            if let Some((new, connections)) = host.get_if_changed(CONNECTIONS, tag.as_deref()).await? {
                tag = new;
                print(lines.of_picture(&connections));
            }
            sleep(INTERVAL).await;
        }
    }
}

/// How a stream ended.
#[derive(PartialEq, Eq)]
enum End {
    Closed,
    /// Nothing comes any more, so that the host has to be asked whether it is there.
    Silence,
}

/// Prints what a stream tells until it ends; `last` is the id of what was told last.
async fn read(mut stream: Response, lines: &mut Lines, last: &mut Option<String>) -> End {
    let mut events = Events::default();
    loop {
        let piece = match timeout(SILENCE, stream.chunk()).await {
            Ok(Ok(Some(piece))) => piece,
            Ok(_) => return End::Closed,
            Err(_) => return End::Silence,
        };
        for event in events.take(&piece) {
            print(match event.told {
                Told::Change(change) => lines.of_change(&change),
                Told::Picture(connections) => lines.of_picture(&connections),
            });
            *last = Some(event.id);
        }
    }
}

/// A pipe gets each line when it is there.
fn print<L: std::fmt::Display>(lines: impl IntoIterator<Item = L>) {
    lines.into_iter().for_each(show);
    let _ = std::io::stdout().flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_connection_alive_is_no_event() {
        assert!(is_comment(b": still here\n\n"));
        assert!(!is_comment(b"event: transition\ndata: {}\n\n"));
        assert!(!is_comment(b": still here\n\nevent: transition\n"));
    }
}
