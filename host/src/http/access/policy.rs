//! What is known of a request becomes whether it comes from an operator. Pure, and the only place that decides it.

/// What the configuration says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy {
    /// There is an operator's token.
    pub has_token: bool,
    /// The host listens beyond loopback, or says under which public address it is found.
    pub is_exposed: bool,
}

/// What a request shows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    /// Its connection comes from this machine, as far as is known.
    pub is_from_here: bool,
    /// It carries what proxies add.
    pub is_forwarded: bool,
    pub bearer: Proof,
    pub session: Proof,
}

/// A way to prove oneself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    Absent,
    Wrong,
    Right,
}

/// Whether it comes from an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// By its place: without a configured token, this machine needs none. Its pages may come from elsewhere, though.
    Local,
    /// By the token itself, which no page of another site knows.
    Token,
    /// By a browser's cookie, which a page of another site could make it send.
    Session,
    /// It does not, as far as it shows.
    Refused(Lack),
}

/// Why a request proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lack {
    Absent,
    /// A cookie that has ended or was never ours.
    Session,
    /// A bearer that is not the token: never taken for nobody, however open the host is.
    Token,
    /// This host has no token by which anybody could.
    Unset,
}

/// A token that is configured is demanded of everybody: a proxy that adds no header looks like this machine. Without one,
/// only requests of this machine pass.
pub(super) fn decide(policy: Policy, facts: Facts) -> Decision {
    let is_local = !policy.is_exposed && !facts.is_forwarded && facts.is_from_here;
    match (facts.bearer, facts.session) {
        _ if !policy.has_token && is_local => Decision::Local,
        _ if !policy.has_token => Decision::Refused(Lack::Unset),
        (Proof::Right, _) => Decision::Token,
        (Proof::Wrong, _) => Decision::Refused(Lack::Token),
        (Proof::Absent, Proof::Right) => Decision::Session,
        (Proof::Absent, Proof::Wrong) => Decision::Refused(Lack::Session),
        (Proof::Absent, Proof::Absent) => Decision::Refused(Lack::Absent),
    }
}

#[cfg(test)]
mod tests {
    use super::{Decision::*, Lack, Proof::*, *};

    const CLOSED: Policy = Policy { has_token: false, is_exposed: false };
    const WITH_TOKEN: Policy = Policy { has_token: true, is_exposed: false };
    const EXPOSED: Policy = Policy { has_token: true, is_exposed: true };
    const EXPOSED_WITHOUT: Policy = Policy { has_token: false, is_exposed: true };

    #[test]
    fn the_table() {
        const HERE: (bool, bool) = (true, false);
        const FORWARDED: (bool, bool) = (true, true);
        const ELSEWHERE: (bool, bool) = (false, false);
        let rows = [
            (CLOSED, HERE, Absent, Absent, Local),
            (CLOSED, FORWARDED, Absent, Absent, Refused(Lack::Unset)),
            (CLOSED, ELSEWHERE, Wrong, Absent, Refused(Lack::Unset)),
            (WITH_TOKEN, HERE, Absent, Absent, Refused(Lack::Absent)),
            (WITH_TOKEN, HERE, Wrong, Wrong, Refused(Lack::Token)),
            (WITH_TOKEN, HERE, Wrong, Right, Refused(Lack::Token)),
            (WITH_TOKEN, HERE, Right, Absent, Token),
            (WITH_TOKEN, HERE, Absent, Right, Session),
            (WITH_TOKEN, FORWARDED, Absent, Absent, Refused(Lack::Absent)),
            (WITH_TOKEN, FORWARDED, Wrong, Absent, Refused(Lack::Token)),
            (WITH_TOKEN, FORWARDED, Absent, Wrong, Refused(Lack::Session)),
            (WITH_TOKEN, FORWARDED, Absent, Right, Session),
            (WITH_TOKEN, ELSEWHERE, Absent, Absent, Refused(Lack::Absent)),
            (EXPOSED, HERE, Absent, Absent, Refused(Lack::Absent)),
            (EXPOSED, HERE, Absent, Wrong, Refused(Lack::Session)),
            (EXPOSED, ELSEWHERE, Right, Wrong, Token),
            (EXPOSED, ELSEWHERE, Absent, Right, Session),
            (EXPOSED_WITHOUT, HERE, Absent, Absent, Refused(Lack::Unset)),
        ];
        for (policy, (is_from_here, is_forwarded), bearer, session, expected) in rows {
            let facts = Facts { is_from_here, is_forwarded, bearer, session };
            assert_eq!(decide(policy, facts), expected, "{policy:?} {facts:?}");
        }
    }
}
