//! `GET /api/health/events`: what happens to health becomes server-sent events, for as many clients as there are seats.
//! A stream is pulled by its connection and keeps a revision, no queue: a client that is slow gets what it missed from the
//! board's journal, or the whole picture anew. Nobody is asked, waited for or slowed down by those who listen.

pub(super) mod seats;
mod frame;
mod follower;

use std::{convert::Infallible, sync::Arc};

use axum::{
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, header},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt, stream};

use super::{liveness::stopping, problem::Problem, serve::Place, site::Site};

use self::follower::{Follower, Has};
pub(super) use self::frame::Told;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// Proxies that collect an answer before they hand it on would keep events back.
const BUFFERING: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

pub(super) async fn follow(State(site): State<Arc<Site>>, request: Request) -> Result<Response, Problem> {
    if *site.draining.borrow() {
        return Err(stopping());
    }
    let reader = site.reader(&request)?;
    let seat = site.events.seat(reader, site.access.client(&request))?;
    let endless = request.extensions().get::<Place>().map(Place::endless);
    let has = Has::of(last_event_id(request.headers()), &site.views.current().snapshot);
    let follower = Follower::new(site.clone(), reader, has);
    let pieces = stream::unfold(follower, |mut follower| async move {
        Some((Ok::<_, Infallible>(follower.next().await?), follower))
    });
    let pieces = pieces.inspect(move |_| {
        // Held until the client is gone.
        let _ = (&seat, &endless);
    });
    let headers =
        [(header::CONTENT_TYPE, "text/event-stream"), (header::CACHE_CONTROL, "no-cache"), BUFFERING];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// What a client that comes back says it has; what is no text is nothing that we gave.
fn last_event_id(headers: &HeaderMap) -> Option<&str> {
    headers.get(LAST_EVENT_ID).map(|value| value.to_str().unwrap_or_default()).filter(|id| !id.is_empty())
}
