//! Equality of JSON values as JSON Schema defines it, counted against the [budget](crate::budget) of a check.
//!
//! `jsonschema` compares whole values in one step, and looks for duplicates by hashes that all nested empty arrays share:
//! both can take far longer than a step.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};

use jsonschema::json::cmp;
use serde_json::Value;

use crate::budget::Meter;

/// Whether two values are equal: numbers by their value, objects whatever the order of their members.
pub(crate) fn equal(left: &Value, right: &Value, meter: &Meter) -> bool {
    meter.step();
    match (left, right) {
        (Value::String(left), Value::String(right)) => {
            left.len() == right.len() && {
                meter.read(left.len());
                left == right
            }
        }
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right, meter))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(name, left)| {
                    meter.read(name.len());
                    right.get(name).is_some_and(|right| equal(left, right, meter))
                })
        }
        _ => cmp::equal(left, right),
    }
}

/// Whether no two of these values are equal.
pub(crate) fn are_unique(values: &[Value], meter: &Meter) -> bool {
    if values.len() < 2 {
        return true;
    }
    let hashes = RandomState::new();
    let mut hashed: Vec<_> = values.iter().map(|value| (hash(value, &hashes, meter), value)).collect();
    hashed.sort_unstable_by_key(|(hash, _)| *hash);
    hashed.chunk_by(|(one, _), (other, _)| one == other).all(|alike| {
        let mut pairs =
            alike.iter().enumerate().flat_map(|(at, one)| alike[at + 1..].iter().map(move |other| (one, other)));
        !pairs.any(|((_, one), (_, other))| equal(one, other, meter))
    })
}

/// A hash that equal values share.
fn hash(value: &Value, hashes: &RandomState, meter: &Meter) -> u64 {
    meter.step();
    let mut hasher = hashes.build_hasher();
    match value {
        Value::Null => hasher.write_u8(0),
        Value::Bool(value) => value.hash(&mut hasher),
        // Zero has two signs. Integers that one double stands for share a hash.
        Value::Number(number) => hasher.write_u64((number.as_f64().unwrap_or_default() + 0.0).to_bits()),
        Value::String(text) => {
            meter.read(text.len());
            text.hash(&mut hasher);
        }
        Value::Array(values) => {
            hasher.write_usize(values.len());
            values.iter().for_each(|value| hasher.write_u64(hash(value, hashes, meter)));
        }
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                meter.read(name.len());
                hashes.hash_one((name, hash(value, hashes, meter)))
            };
            // Their order does not matter.
            hasher.write_u64(members.iter().map(member).fold(0, u64::wrapping_add));
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::budget::Budget;

    fn unique(values: &Value) -> bool {
        let budget = Budget::default();
        are_unique(values.as_array().expect("an array"), &Meter::new(&budget, &Arc::default()))
    }

    #[test]
    fn duplicates_are_found_whatever_their_spelling() {
        for values in [
            json!([1, 2, 1.0]),
            json!([0, -0.0]),
            json!([{"a": 1, "b": [2]}, {"b": [2.0], "a": 1}]),
            json!(["a", "b", "a"]),
            json!([null, null]),
            json!([[], [[]], []]),
            json!([9_007_199_254_740_992_u64, 9_007_199_254_740_993_u64, 9_007_199_254_740_993_u64]),
        ] {
            assert!(!unique(&values), "{values}");
        }
        for values in [
            json!([]),
            json!([1]),
            json!([1, "1", true, null, [], {}, [1], {"1": 1}]),
            json!([[], [[]], [[], []], [[[]]]]),
            json!([{"a": 1, "b": 2}, {"a": 2, "b": 1}]),
            json!([9_007_199_254_740_992_u64, 9_007_199_254_740_993_u64]),
            json!([false, 0, "", null, []]),
        ] {
            assert!(unique(&values), "{values}");
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-2..3_i64).prop_map(Value::from),
            (-2..3_i8).prop_map(|number| json!(f64::from(number))),
            "[ab]{0,2}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[ab]", inner, 0..3).prop_map(|members| json!(members)),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_are_equal_as_the_checker_has_it(values in prop::collection::vec(values(), 0..20)) {
            let budget = Budget::default();
            let meter = Meter::new(&budget, &Arc::default());
            for one in &values {
                for other in &values {
                    prop_assert_eq!(equal(one, other, &meter), cmp::equal(one, other));
                }
            }
            prop_assert_eq!(are_unique(&values, &meter), jsonschema::json::unique::is_unique(&values));
        }
    }
}
