//! One client of the events: what it has becomes what it gets next. Changes of status come at once and each exactly once;
//! whatever else changes is told by a new picture, shortly afterwards and not more often than that.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use axum::body::Bytes;
use tokio::{
    sync::watch,
    time::{Instant, Interval, MissedTickBehavior, interval_at, sleep_until},
};

use super::{
    super::{
        site::Site,
        view::{Reader, View},
        views::Rendered,
    },
    frame,
};
use crate::status::Snapshot;

/// How often a comment says that somebody is there.
const COMMENT_EVERY: Duration = Duration::from_secs(15);

/// How long what transitions do not tell may gather until a new picture tells it.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest that a stream lasts. Its client comes back by itself, and shows anew who it is.
const LONGEST: Duration = Duration::from_secs(3600);

/// Transitions in one piece: what is under way to a slow client stays small.
const AT_ONCE: usize = 16;

/// What a client has of the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Has {
    /// It is new.
    Nothing,
    /// Of another run of the host, or nothing that we ever gave.
    Something,
    /// Everything up to this revision.
    UpTo(u64),
}

impl Has {
    /// By the id of the last event that it got: `<boot>-<revision>`.
    pub(super) fn of(last_event_id: Option<&str>, snapshot: &Snapshot) -> Self {
        let Some(id) = last_event_id else { return Self::Nothing };
        let parts = id.rsplit_once('-').filter(|(boot_id, _)| *boot_id == &*snapshot.boot_id);
        let revision = parts.and_then(|(_, revision)| revision.parse().ok());
        match revision.filter(|revision| *revision <= snapshot.revision) {
            Some(revision) => Self::UpTo(revision),
            None => Self::Something,
        }
    }
}

pub(super) struct Follower {
    site: Arc<Site>,
    reader: Reader,
    has: Has,
    /// The revision of the last picture that it got.
    pictured: u64,
    /// When a new picture is due, if something changed that no transition tells.
    due_at: Option<Instant>,
    /// What is to be sent before anything else.
    pieces: VecDeque<Bytes>,
    revisions: watch::Receiver<u64>,
    draining: watch::Receiver<bool>,
    comments: Interval,
    ends_at: Instant,
}

impl Follower {
    pub(super) fn new(site: Arc<Site>, reader: Reader, has: Has) -> Self {
        let mut comments = interval_at(Instant::now() + COMMENT_EVERY, COMMENT_EVERY);
        comments.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Whether a picture followed the transition that it has, only the client knows.
        let pictured = match has {
            Has::UpTo(revision) if !site.events.board.is_change(revision) => revision,
            _ => 0,
        };
        Self {
            reader,
            has,
            pictured,
            due_at: None,
            pieces: VecDeque::from([frame::BEGIN]),
            revisions: site.events.board.revisions(),
            draining: site.draining.clone(),
            comments,
            ends_at: Instant::now() + LONGEST,
            site,
        }
    }

    /// The next bytes, when there are some; `None` when the host stops, or after an hour.
    pub(super) async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                return Some(piece);
            }
            if *self.draining.borrow() || Instant::now() >= self.ends_at {
                return None;
            }
            // Seen before the board is looked at, so that no change falls in between.
            self.revisions.borrow_and_update();
            self.look();
            if !self.pieces.is_empty() {
                continue;
            }
            let wake_at = self.due_at.unwrap_or(self.ends_at).min(self.ends_at);
            tokio::select! {
                biased;
                drains = self.draining.changed() => drains.ok()?,
                changed = self.revisions.changed() => changed.ok()?,
                _ = self.comments.tick() => return Some(frame::COMMENT),
                () = sleep_until(wake_at) => {}
            }
        }
    }

    /// Lays out what there is to send.
    fn look(&mut self) {
        let site = self.site.clone();
        // Read before the journal, which then holds every change up to it.
        let rendered = site.views.current();
        let has = match self.has {
            Has::Nothing => return self.picture("snapshot", &rendered),
            Has::Something => return self.picture("resync", &rendered),
            Has::UpTo(revision) => revision,
        };
        match site.events.board.changes_after(has, AT_ONCE) {
            Err(_) => self.picture("resync", &rendered),
            Ok(changes) => match changes.last() {
                Some(last) => {
                    self.has = Has::UpTo(last.revision);
                    let changes = changes.iter().map(Arc::as_ref);
                    let boot_id = &rendered.snapshot.boot_id;
                    self.pieces.push_back(frame::transitions(changes, boot_id, self.reader));
                }
                None => self.catch_up(has, &rendered),
            },
        }
    }

    /// It has every change; what else is new gathers for a moment.
    fn catch_up(&mut self, has: u64, rendered: &Rendered) {
        let revision = rendered.snapshot.revision;
        if revision <= self.pictured || revision < has {
            return;
        }
        let now = Instant::now();
        if *self.due_at.get_or_insert(now + PAUSE) <= now {
            self.picture("snapshot", rendered);
        }
    }

    fn picture(&mut self, kind: &str, rendered: &Rendered) {
        let Snapshot { boot_id, revision, .. } = &*rendered.snapshot;
        let json = rendered.page(View::Connections, self.reader).body();
        self.pieces.extend(frame::picture(kind, boot_id, *revision, json));
        self.has = Has::UpTo(*revision);
        self.pictured = *revision;
        self.due_at = None;
    }
}
