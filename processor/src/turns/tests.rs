//! Reports that share a press whose children are not there: only whose turn it is counts.

use super::*;

/// Nobody's process, so that no signal finds one: no system numbers so many.
const NO_CHILD: u32 = 2_000_000_000;

/// Lets time pass for those who work or wait.
fn pass(turns: &Turns, time: Duration) {
    {
        let mut state = turns.state();
        state.counted_to -= time;
        for share in state.reports.values_mut() {
            share.began -= time;
        }
    }
    turns.look();
}

fn phase(asking: &Asking<'_>) -> Phase {
    asking.with(|ask| ask.phase).expect("it asks")
}

fn works(asking: &Asking<'_>) -> bool {
    phase(asking) == Phase::Working
}

#[test]
fn a_report_older_than_half_a_second_gives_way_to_a_young_one_and_goes_on_after_it() {
    let turns = Turns::new(1);
    let (ledger, invoice) = (turns.begin("a"), turns.begin("b"));
    let old = ledger.ask();
    let working = old.work(NO_CHILD);
    pass(&turns, Duration::from_millis(600));
    assert!(works(&old), "nobody else asks");
    let young = invoice.ask();
    assert!(works(&young) && phase(&old) == Phase::Paused);
    assert_eq!(working.worked().as_millis() / 100, 6);
    pass(&turns, Duration::from_millis(400));
    assert_eq!(working.worked().as_millis() / 100, 6, "what it waits does not count");
    assert_eq!(ledger.waited().as_millis() / 100, 4);
    drop(young);
    assert!(works(&old));
}

#[test]
fn a_young_report_is_not_stopped_by_another_callers_first() {
    let turns = Turns::new(1);
    let (first, second) = (turns.begin("a"), turns.begin("b"));
    let (one, other) = (first.ask(), second.ask());
    let _working = one.work(NO_CHILD);
    pass(&turns, Duration::from_millis(300));
    assert!(works(&one) && phase(&other) == Phase::Waiting);
}

#[test]
fn a_callers_only_report_goes_before_the_second_of_another() {
    let turns = Turns::new(1);
    let reports = [turns.begin("a"), turns.begin("a"), turns.begin("b")];
    let second = reports[1].ask();
    let _working = second.work(NO_CHILD);
    assert!(works(&second), "nobody else asks");
    let only = reports[2].ask();
    assert!(works(&only) && phase(&second) == Phase::Paused);
}

#[test]
fn old_reports_of_one_caller_keep_their_order() {
    let turns = Turns::new(1);
    let (first, second) = (turns.begin("a"), turns.begin("a"));
    let (one, other) = (first.ask(), second.ask());
    let _working = one.work(NO_CHILD);
    while !works(&other) {
        pass(&turns, Duration::from_millis(250));
    }
    // The younger has its half second, and waits for the older from then on.
    let _other = other.work(NO_CHILD);
    for _ in 0..20 {
        pass(&turns, Duration::from_millis(250));
        assert!(works(&one) != works(&other));
    }
    assert!(works(&one));
}

#[test]
fn callers_of_old_reports_share_the_time() {
    let turns = Turns::new(2);
    let reports = ["a", "a", "a", "b"].map(|caller| turns.begin(caller));
    let asks = [0, 1, 2, 3].map(|at: usize| reports[at].ask());
    let works = asks.each_ref().map(|ask| ask.work(NO_CHILD));
    for _ in 0..200 {
        pass(&turns, Duration::from_millis(100));
    }
    let of_b = works[3].worked().as_secs_f64();
    // Two children worked for 20 s each.
    assert!((17.0..=20.1).contains(&of_b), "b had {of_b} s");
}

#[test]
fn one_who_comes_later_has_no_claim_to_the_time_before() {
    let turns = Turns::new(1);
    let first = turns.begin("a");
    let one = first.ask();
    let one_works = one.work(NO_CHILD);
    pass(&turns, Duration::from_secs(60));
    let second = turns.begin("b");
    let other = second.ask();
    let other_works = other.work(NO_CHILD);
    for _ in 0..200 {
        pass(&turns, Duration::from_millis(100));
    }
    let (a, b) = (one_works.worked().as_secs(), other_works.worked().as_secs());
    assert!((68..=72).contains(&a) && (8..=12).contains(&b), "a had {a} s, b {b} s");
}

#[test]
fn children_that_stand_still_are_bounded_and_those_that_did_the_least_are_ended() {
    let turns = Turns::new(1);
    let reports: Vec<_> = (0..6).map(|number| turns.begin(&number.to_string())).collect();
    let asks: Vec<_> = reports.iter().map(Turn::ask).collect();
    let mut working = Vec::new();
    for ask in &asks {
        for _ in 0..100 {
            if works(ask) {
                break;
            }
            pass(&turns, Duration::from_millis(100));
        }
        assert!(works(ask));
        working.push(ask.work(NO_CHILD));
        pass(&turns, Duration::from_millis(600));
    }
    let count = |of: Phase| asks.iter().filter(|ask| phase(ask) == of).count();
    assert_eq!((count(Phase::Working), count(Phase::Paused)), (1, MOST_PAUSED));
    assert_eq!(count(Phase::Evicted), 6 - 1 - MOST_PAUSED);
    let evicted = asks.iter().position(|ask| phase(ask) == Phase::Evicted).expect("one");
    drop(working);
    asks[evicted].again();
    assert_ne!(phase(&asks[evicted]), Phase::Evicted, "it waits for its next turn");
}
