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
        state.count();
        state.deal();
    }
}

fn turns_of(slots: usize) -> Arc<Turns> {
    Turns::new(slots, Most::beside(slots, 1 << 30))
}

fn phase(asking: &Asking<'_>) -> Phase {
    asking.with(|ask| ask.phase).expect("it asks")
}

fn works(asking: &Asking<'_>) -> bool {
    phase(asking) == Phase::Working
}

#[test]
fn a_report_older_than_half_a_second_gives_way_to_a_young_one_and_goes_on_after_it() {
    let turns = turns_of(1);
    let (ledger, invoice) = (turns.begin("a"), turns.begin("b"));
    let old = ledger.ask();
    let working = old.work(Hand::Child(NO_CHILD));
    pass(&turns, Duration::from_millis(600));
    assert!(works(&old), "nobody else asks");
    let young = invoice.ask();
    assert!(works(&young) && phase(&old) == Phase::Paused);
    assert_eq!(working.worked().as_millis() / 100, 6);
    pass(&turns, Duration::from_millis(400));
    assert_eq!(working.worked().as_millis() / 100, 6, "what it waits does not count");
    assert_eq!(ledger.delayed().as_millis() / 100, 4);
    drop(young);
    assert!(works(&old));
}

#[test]
fn a_young_report_is_not_stopped_by_another_callers_first() {
    let turns = turns_of(1);
    let (first, second) = (turns.begin("a"), turns.begin("b"));
    let (one, other) = (first.ask(), second.ask());
    let _working = one.work(Hand::Child(NO_CHILD));
    pass(&turns, Duration::from_millis(300));
    assert!(works(&one) && phase(&other) == Phase::Waiting);
}

#[test]
fn a_callers_only_report_goes_before_the_second_of_another() {
    let turns = turns_of(1);
    let reports = [turns.begin("a"), turns.begin("a"), turns.begin("b")];
    let second = reports[1].ask();
    let _working = second.work(Hand::Child(NO_CHILD));
    assert!(works(&second), "nobody else asks");
    let only = reports[2].ask();
    assert!(works(&only) && phase(&second) == Phase::Paused);
}

#[test]
fn old_reports_of_one_caller_keep_their_order() {
    let turns = turns_of(1);
    let (first, second) = (turns.begin("a"), turns.begin("a"));
    let (one, other) = (first.ask(), second.ask());
    let _working = one.work(Hand::Child(NO_CHILD));
    while !works(&other) {
        pass(&turns, Duration::from_millis(250));
    }
    // The younger has its half second, and waits for the older from then on.
    let _other = other.work(Hand::Child(NO_CHILD));
    for _ in 0..20 {
        pass(&turns, Duration::from_millis(250));
        assert!(works(&one) != works(&other));
    }
    assert!(works(&one));
}

#[test]
fn callers_of_old_reports_share_the_time() {
    let turns = turns_of(2);
    let reports = ["a", "a", "a", "b"].map(|caller| turns.begin(caller));
    let asks = [0, 1, 2, 3].map(|at: usize| reports[at].ask());
    let works = asks.each_ref().map(|ask| ask.work(Hand::Child(NO_CHILD)));
    for _ in 0..200 {
        pass(&turns, Duration::from_millis(100));
    }
    let of_b = works[3].worked().as_secs_f64();
    // Two children worked for 20 s each.
    assert!((17.0..=20.1).contains(&of_b), "b had {of_b} s");
}

#[test]
fn one_who_comes_later_has_no_claim_to_the_time_before() {
    let turns = turns_of(1);
    let first = turns.begin("a");
    let one = first.ask();
    let one_works = one.work(Hand::Child(NO_CHILD));
    pass(&turns, Duration::from_secs(60));
    let second = turns.begin("b");
    let other = second.ask();
    let other_works = other.work(Hand::Child(NO_CHILD));
    for _ in 0..200 {
        pass(&turns, Duration::from_millis(100));
    }
    let (a, b) = (one_works.worked().as_secs(), other_works.worked().as_secs());
    assert!((68..=72).contains(&a) && (8..=12).contains(&b), "a had {a} s, b {b} s");
}

/// Has each of these work until it is old, one after the other.
fn grow_old<'a, 'b>(turns: &Turns, asks: &'a [Asking<'b>]) -> Vec<Working<'a, 'b>> {
    let mut working: Vec<Option<Working<'a, 'b>>> = asks.iter().map(|_| None).collect();
    let starts = |ask: &Asking<'_>| ask.with(|ask| ask.phase == Phase::Working && ask.hand.is_none()) == Some(true);
    for _ in 0..200 {
        if let Some(at) = asks.iter().position(starts) {
            working[at] = Some(asks[at].work(Hand::Child(NO_CHILD)));
            pass(turns, Duration::from_millis(500));
        }
        pass(turns, Duration::from_millis(100));
    }
    working.into_iter().map(|working| working.expect("each had its turn")).collect()
}

/// Whether it works before a minute is over.
fn works_soon(turns: &Turns, asking: &Asking<'_>) -> bool {
    (0..600).any(|_| {
        pass(turns, Duration::from_millis(100));
        works(asking)
    })
}

/// Where the asks of this phase are.
fn all_in(of: Phase, asks: &[Asking<'_>]) -> Vec<usize> {
    (0..asks.len()).filter(|at| phase(&asks[*at]) == of).collect()
}

#[test]
fn children_that_stand_still_are_bounded_and_one_that_is_ended_for_them_ends_no_other() {
    let turns = turns_of(1);
    let reports: Vec<_> = ["a", "b", "c", "d", "e", "f"].map(|caller| turns.begin(caller)).into();
    let asks: Vec<_> = reports.iter().map(Turn::ask).collect();
    let mut working = grow_old(&turns, &asks);
    assert_eq!((all_in(Phase::Working, &asks).len(), all_in(Phase::Paused, &asks).len()), (1, 3));
    let evicted = all_in(Phase::Evicted, &asks);
    assert_eq!(evicted.len(), 2);
    for at in evicted.iter().rev() {
        let worked = working.remove(*at).worked();
        assert!(worked > Duration::from_millis(500));
        assert!(reports[*at].delayed() >= worked, "what it worked to no end does not count");
        asks[*at].again();
    }
    for _ in 0..100 {
        pass(&turns, Duration::from_millis(100));
        assert_eq!(all_in(Phase::Waiting, &asks), evicted, "their turn would end another's child");
    }
    drop(working);
}

#[test]
fn an_ended_child_is_begun_anew_when_there_is_room_again() {
    let turns = turns_of(1);
    let reports: Vec<_> = ["a", "b", "c", "d", "e"].map(|caller| turns.begin(caller)).into();
    let asks: Vec<_> = reports.iter().map(Turn::ask).collect();
    let mut working = grow_old(&turns, &asks);
    let evicted = all_in(Phase::Evicted, &asks)[0];
    drop(working.remove(evicted));
    asks[evicted].again();
    assert!(!works_soon(&turns, &asks[evicted]));
    // Another one is gone.
    asks[all_in(Phase::Paused, &asks)[0]].with(|ask| ask.phase = Phase::Evicted);
    assert!(works_soon(&turns, &asks[evicted]));
    drop(working);
}

#[test]
fn the_child_that_is_ended_is_of_the_caller_who_has_the_most() {
    let turns = turns_of(1);
    let reports: Vec<_> = ["a", "a", "a", "b", "c"].map(|caller| turns.begin(caller)).into();
    let asks: Vec<_> = reports.iter().map(Turn::ask).collect();
    let working = grow_old(&turns, &asks);
    let evicted = all_in(Phase::Evicted, &asks);
    assert!(matches!(evicted[..], [0..=2]), "{evicted:?}");
    drop(working);
}

#[test]
fn children_that_stand_still_hold_no_more_together_than_one_may() {
    let turns = turns_of(1);
    let reports: Vec<_> = ["a", "b", "c"].map(|caller| turns.begin(caller)).into();
    let asks: Vec<_> = reports.iter().map(Turn::ask).collect();
    let working = grow_old(&turns, &asks);
    let paused = all_in(Phase::Paused, &asks);
    assert_eq!(paused.len(), 2);
    for (at, bytes) in paused.iter().zip([200 << 20, 900 << 20]) {
        asks[*at].with(|ask| ask.held = bytes);
    }
    turns.state().evict();
    assert_eq!(all_in(Phase::Evicted, &asks), [paused[1]], "the one that holds the most");
    drop(working);
    asks[paused[1]].again();
    pass(&turns, Duration::from_secs(10));
    assert_eq!(phase(&asks[paused[1]]), Phase::Waiting, "there is no room for it");
}

#[test]
fn the_oldest_child_is_never_ended_and_no_other_twice_before_the_rest_once() {
    let turns = Turns::new(1, Most { children: 4, bytes: 1 << 30 });
    let reports: Vec<_> = ["a", "b", "c", "d"].map(|caller| turns.begin(caller)).into();
    let asks: Vec<_> = reports.iter().map(Turn::ask).collect();
    let working = grow_old(&turns, &asks);
    assert_eq!(all_in(Phase::Evicted, &asks), Vec::<usize>::new());
    let hold = |bytes: [u64; 4]| {
        for (ask, bytes) in asks.iter().zip(bytes) {
            ask.with(|ask| (ask.phase, ask.held) = (Phase::Paused, bytes << 20));
        }
        turns.state().evict();
        all_in(Phase::Evicted, &asks)
    };
    assert_eq!(hold([900, 300, 800, 100]), [1, 2], "the first of all stays");
    assert_eq!(hold([200, 100, 700, 100]), [3], "one that was not ended before goes first");
    drop(working);
}

#[test]
fn the_oldest_report_is_begun_anew_whatever_stands_still() {
    let turns = turns_of(1);
    let reports: Vec<_> = ["a", "b", "c"].map(|caller| turns.begin(caller)).into();
    let asks: Vec<_> = reports.iter().map(Turn::ask).collect();
    let mut working = grow_old(&turns, &asks);
    asks[0].with(|ask| (ask.phase, ask.held, ask.evictions) = (Phase::Evicted, 3 << 30, 1));
    drop(working.remove(0));
    asks[0].again();
    assert!(works_soon(&turns, &asks[0]));
    drop(working);
}

#[test]
fn an_old_report_has_a_part_of_the_time_however_many_young_ones_come() {
    for slots in [1, 2, 8] {
        let turns = turns_of(slots);
        let ledger = turns.begin("a");
        let old = ledger.ask();
        let working = old.work(Hand::Child(NO_CHILD));
        pass(&turns, Duration::from_millis(600));
        for _ in 0..50 {
            let young: Vec<_> = (0..slots).map(|_| turns.begin("b")).collect();
            let asks: Vec<_> = young.iter().map(Turn::ask).collect();
            let _working: Vec<_> = asks.iter().map(|ask| ask.work(Hand::Child(NO_CHILD))).collect();
            (0..4).for_each(|_| pass(&turns, Duration::from_millis(50)));
        }
        // Ten seconds passed.
        let worked = working.worked().as_secs_f64() - 0.6;
        assert!((1.5..=slots as f64 * 2.5).contains(&worked), "{slots} at a time: {worked} s");
    }
}

#[test]
fn a_thread_stands_still_at_its_gate_in_others_turns() {
    let turns = turns_of(1);
    let (ledger, invoice) = (turns.begin("a"), turns.begin("b"));
    let (old, gate) = (ledger.ask(), Arc::new(Gate::default()));
    let _reads = old.work(Hand::Thread(gate.clone()));
    assert!(gate.pass());
    pass(&turns, Duration::from_millis(600));
    let young = invoice.ask();
    assert_eq!(phase(&old), Phase::Paused);
    let (passed, passes) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        _ = passed.send(gate.pass());
        gate.end();
        passed.send(gate.pass())
    });
    assert!(passes.recv_timeout(Duration::from_millis(100)).is_err(), "it stands still");
    drop(young);
    assert_eq!((passes.recv(), passes.recv()), (Ok(true), Ok(false)));
    thread.join().expect("it ends").expect("it was heard");
}

#[test]
fn a_thousand_asks_are_dealt_with_in_no_time() {
    let turns = turns_of(8);
    let reports: Vec<_> = (0..128).map(|number| turns.begin(&(number % 16).to_string())).collect();
    let asks: Vec<_> = reports.iter().flat_map(|report| (0..9).map(|_| report.ask())).collect();
    pass(&turns, Duration::from_secs(10));
    let start = Instant::now();
    for _ in 0..100 {
        asks.iter().for_each(|_| turns.look());
    }
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}
