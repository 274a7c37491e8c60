//! When a delivery is attempted again: soon at first, then ever more seldom, for a day.

use std::time::Duration;

use chrono::TimeDelta;

/// The pauses after the first attempts, in seconds; the last one stays.
const PAUSES: [u64; 10] = [1, 5, 15, 60, 300, 900, 1_800, 3_600, 7_200, LONGEST];

/// The longest pause in seconds: well below the twelve hours for which SQS hides a message.
const LONGEST: u64 = 4 * 3_600;

/// Longer than any pause, jitter included.
pub(crate) const BEYOND_ANY_PAUSE: Duration = Duration::from_secs(2 * LONGEST);

/// For how long attempts are made.
const LIFE: TimeDelta = TimeDelta::days(1);

/// The pause after the `attempt`th attempt, in whole seconds, for a delivery of that `age`; nothing if there is to be no
/// other attempt. A server may ask for a longer one.
pub(crate) fn pause(attempt: u32, retry_after: Option<Duration>, age: TimeDelta) -> Option<Duration> {
    let step = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX).min(PAUSES.len() - 1);
    // So that many deliveries that met the same outage do not come back together.
    let jitter = fastrand::u64(0..=PAUSES[step] / 5);
    let wanted = retry_after.map_or(0, |wait| wait.as_secs().min(LONGEST));
    let pause = Duration::from_secs((PAUSES[step] + jitter).max(wanted));
    let due = age.checked_add(&TimeDelta::from_std(pause).ok()?)?;
    (due <= LIFE).then_some(pause)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pauses of an event that nobody ever takes.
    fn pauses(retry_after: Option<Duration>) -> Vec<Duration> {
        let mut age = TimeDelta::zero();
        let mut pauses = Vec::new();
        while let Some(next) = pause(u32::try_from(pauses.len() + 1).expect("few"), retry_after, age) {
            age += TimeDelta::from_std(next).expect("short");
            pauses.push(next);
        }
        assert!(age <= LIFE && age > LIFE - TimeDelta::hours(5), "{age}");
        pauses
    }

    #[test]
    fn attempts_are_made_for_a_day_and_ever_more_seldom() {
        for _ in 0..100 {
            let pauses = pauses(None);
            assert!((12..=16).contains(&pauses.len()), "{pauses:?}");
            assert!(pauses[..9].is_sorted(), "{pauses:?}");
            assert!(pauses[..3].iter().sum::<Duration>() <= Duration::from_secs(25), "{pauses:?}");
        }
    }

    #[test]
    fn a_receiver_may_ask_for_a_longer_pause_within_reason() {
        assert_eq!(pause(1, Some(Duration::from_secs(90)), TimeDelta::zero()), Some(Duration::from_secs(90)));
        assert_eq!(pause(1, Some(Duration::MAX), TimeDelta::zero()), Some(Duration::from_secs(LONGEST)));
        assert!(pause(4, Some(Duration::ZERO), TimeDelta::zero()) >= Some(Duration::from_secs(60)));
        assert_eq!(pause(1, Some(Duration::from_secs(3_600)), TimeDelta::minutes(23 * 60 + 30)), None);
        assert_eq!(pauses(Some(Duration::MAX)).len(), 6);
    }

    #[test]
    fn an_old_event_has_no_other_attempt() {
        assert_eq!(pause(1, None, TimeDelta::days(3)), None);
        assert!(pause(u32::MAX, None, TimeDelta::zero()).is_some());
    }
}
