//! Which questions are on their way, and how many requests wait for answers.
//!
//! A token that was never seen here may be made up, by anybody and as often as they like. So such tokens have a part of
//! the questions only, and of that part a neighbourhood has its share. What has proved to be a token is renewed whatever
//! they do, and what comes from elsewhere is asked about too.

use std::collections::HashMap;

use tokio::sync::watch;

use super::{Answer, Question};
use crate::neighbourhood::Neighbourhood;

/// For tokens that were never seen here, at most. All together stay below what the control plane takes on one connection.
const FIRST_SIGHTS: Load = Load { questions: 512, requests: 2048 };
/// Of these, for one neighbourhood.
const SHARE: Load = Load { questions: 64, requests: 1024 };
/// For tokens whose record is known, at most.
const RENEWALS: Load = Load { questions: 384, requests: 2048 };

/// Why a question is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The token was never seen here. That it comes from there.
    FirstSight(Neighbourhood),
    /// The token's credential is to be replaced.
    Renewal,
}

/// All that is under way.
#[derive(Debug, Default)]
pub(super) struct Flights {
    under_way: HashMap<Question, Flight>,
    first_sights: Load,
    renewals: Load,
    /// Only those that have something under way.
    neighbourhoods: HashMap<Neighbourhood, Load>,
}

#[derive(Debug)]
struct Flight {
    cause: Cause,
    answer: watch::Receiver<Option<Answer>>,
}

/// How much is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Load {
    /// On their way to the control plane.
    questions: usize,
    /// That wait for an answer.
    requests: usize,
}

const QUESTION: Load = Load { questions: 1, requests: 0 };
const REQUEST: Load = Load { questions: 0, requests: 1 };

// === impl Flights ===

impl Flights {
    /// Where the answer will be, where the question is on its way.
    pub(super) fn get(&self, question: &Question) -> Option<watch::Receiver<Option<Answer>>> {
        self.under_way.get(question).map(|flight| flight.answer.clone())
    }

    /// Notes that a question is on its way. `None` where there are too many.
    pub(super) fn begin(
        &mut self,
        question: Question,
        cause: Cause,
    ) -> Option<watch::Sender<Option<Answer>>> {
        if !self.take(cause, QUESTION) {
            return None;
        }
        let (land, answer) = watch::channel(None);
        self.under_way.insert(question, Flight { cause, answer });
        Some(land)
    }

    /// A question has its answer, or will get none.
    pub(super) fn end(&mut self, question: &Question) {
        if let Some(Flight { cause, .. }) = self.under_way.remove(question) {
            self.give_back(cause, QUESTION);
        }
    }

    /// Notes that a request waits. `false` where too many do.
    pub(super) fn wait(&mut self, cause: Cause) -> bool {
        self.take(cause, REQUEST)
    }

    /// A request waits no more.
    pub(super) fn waited(&mut self, cause: Cause) {
        self.give_back(cause, REQUEST);
    }

    fn take(&mut self, cause: Cause, one: Load) -> bool {
        match cause {
            Cause::Renewal => self.renewals.take(one, RENEWALS),
            Cause::FirstSight(neighbourhood) => {
                let mut share = self.neighbourhoods.get(&neighbourhood).copied().unwrap_or_default();
                let may = share.take(one, SHARE) && self.first_sights.take(one, FIRST_SIGHTS);
                if may {
                    self.neighbourhoods.insert(neighbourhood, share);
                }
                may
            }
        }
    }

    fn give_back(&mut self, cause: Cause, one: Load) {
        match cause {
            Cause::Renewal => self.renewals.give_back(one),
            Cause::FirstSight(neighbourhood) => {
                self.first_sights.give_back(one);
                if let Some(share) = self.neighbourhoods.get_mut(&neighbourhood) {
                    share.give_back(one);
                    if *share == Load::default() {
                        self.neighbourhoods.remove(&neighbourhood);
                    }
                }
            }
        }
    }
}

// === impl Load ===

impl Load {
    fn take(&mut self, one: Self, most: Self) -> bool {
        let more = Self { questions: self.questions + one.questions, requests: self.requests + one.requests };
        let may = more.questions <= most.questions && more.requests <= most.requests;
        if may {
            *self = more;
        }
        may
    }

    fn give_back(&mut self, one: Self) {
        self.questions -= one.questions;
        self.requests -= one.requests;
    }
}

#[cfg(test)]
mod tests {
    use portcullis_proto::ids::TokenId;
    use portcullis_proto::random::SystemRandom;

    use super::*;
    use crate::replica::store::Generation;

    fn first_sight(number: usize) -> Cause {
        Cause::FirstSight(Neighbourhood::of(Some(&format!("192.0.2.{number}"))))
    }

    /// Begins as many as may be, and gives the questions.
    fn fill(flights: &mut Flights, name: &str, cause: Cause, generation: Generation) -> Vec<Question> {
        let questions = (0..2000).map(|number| (TokenId::of(&format!("{name} {number}")), generation));
        questions.take_while(|question| flights.begin(*question, cause).is_some()).collect()
    }

    #[test]
    fn t33_made_up_tokens_take_their_neighbourhoods_share_and_never_the_renewals() {
        let generation = Generation::generate(&SystemRandom);
        let mut flights = Flights::default();
        let mut begun = Vec::new();
        for number in 0..8 {
            let own = fill(&mut flights, &format!("from {number}"), first_sight(number), generation);
            assert_eq!(own.len(), SHARE.questions);
            begun.extend(own);
        }
        assert_eq!(begun.len(), FIRST_SIGHTS.questions);
        assert!(fill(&mut flights, "from 9", first_sight(9), generation).is_empty());
        let renewals = fill(&mut flights, "renewal", Cause::Renewal, generation);
        assert_eq!(renewals.len(), RENEWALS.questions);

        flights.end(&begun[0]);
        assert_eq!(fill(&mut flights, "from 9", first_sight(9), generation).len(), 1);
        for question in begun[1..].iter().chain(&renewals) {
            flights.end(question);
            flights.end(question); // once more changes nothing
        }
        assert_eq!((flights.first_sights, flights.renewals), (QUESTION, Load::default()));
        assert_eq!(flights.neighbourhoods.len(), 1);
    }

    #[test]
    fn requests_that_wait_are_bounded_by_cause_and_neighbourhood() {
        let mut flights = Flights::default();
        let mut fill = |cause| (0..10_000).take_while(|_| flights.wait(cause)).count();
        assert_eq!(fill(first_sight(1)), SHARE.requests);
        assert_eq!(fill(first_sight(2)), FIRST_SIGHTS.requests - SHARE.requests);
        assert_eq!(fill(first_sight(3)), 0);
        assert_eq!(fill(Cause::Renewal), RENEWALS.requests);
        flights.waited(first_sight(1));
        assert!(flights.wait(first_sight(3)));
    }
}
