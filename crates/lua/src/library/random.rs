//! `random(category)` and the seed of `math.random`.

use std::rc::Rc;

use mlua::{Lua, Table, Value};

use crate::{
    run::{RandomStatus, RandomUsed},
    state::State,
};

/// How many categories a run may draw from.
const CATEGORIES_MAX: usize = 1_000;

/// The number of seeds: they go from 0 to 4294967294.
const SEEDS: u64 = 4_294_967_295;

/// The draws of a run.
#[derive(Default)]
pub(crate) struct Draws {
    status: Option<RandomStatus>,
    seed: u64,
}

impl Draws {
    pub(crate) fn new(status: Option<RandomStatus>, seed: u64) -> Draws {
        Draws { status, seed }
    }

    pub(crate) fn take(&mut self) -> Option<RandomStatus> {
        self.status.take()
    }

    /// What `math.random` starts from: a function of the seed and of the draws made before the run.
    pub(crate) fn seed_of_math(&self) -> i32 {
        let seed = match &self.status {
            Some(status) => status.used.iter().fold(mix(status.seed as u64), |seed, used| {
                mix(mix(seed ^ used.category as u64) ^ used.used as u64)
            }),
            None => mix(self.seed),
        };
        (seed >> 32) as u32 as i32
    }

    /// Draws a number of a category. `None` when there are too many categories.
    fn draw(&mut self, category: i64) -> Option<u32> {
        let seed = (self.seed % SEEDS) as i64;
        let status = self.status.get_or_insert_with(|| RandomStatus { seed, used: Vec::new() });
        let index = match status.used.iter().position(|used| used.category == category) {
            Some(index) => index,
            None if status.used.len() >= CATEGORIES_MAX => return None,
            None => {
                status.used.push(RandomUsed { category, used: 0 });
                status.used.len() - 1
            }
        };
        let used = &mut status.used[index];
        let number = number(status.seed, category, used.used);
        used.used = used.used.wrapping_add(1);
        Some(number)
    }
}

/// The number of a draw: a function of the seed, the category and how many draws of the category were before it.
/// It must stay as it is, or draws that were to be repeatable are not.
fn number(seed: i64, category: i64, index: i64) -> u32 {
    (mix(mix(mix(seed as u64) ^ category as u64) ^ index as u64) >> 32) as u32
}

/// A mixing of 64 bits where each bit of the input moves half of the output: a step of SplitMix64.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

pub(super) fn install(lua: &Lua, globals: &Table, state: &Rc<State>) -> mlua::Result<()> {
    let state = state.clone();
    let random = lua.create_function(move |lua, category: Value| {
        let category = match category {
            Value::Nil => 0,
            other => match lua.coerce_integer(other) {
                Ok(Some(category)) => category,
                _ => return Err(state.raise(lua, "random: the category must be a whole number")),
            },
        };
        let drawn = state.draws.borrow_mut().draw(category);
        drawn.ok_or_else(|| {
            let place = state.place(lua, 1);
            state.stop(400, format!("{place}random: more than {CATEGORIES_MAX} categories"))
        })
    })?;
    globals.raw_set("random", random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sc18_draws_never_change() {
        assert_eq!([number(0, 0, 0), number(0, 0, 1), number(0, 1, 0), number(1, 0, 0)], EXPECTED);
    }

    const EXPECTED: [u32; 4] = [595_752_380, 791_848_836, 1_155_905_921, 2_978_611_956];

    #[test]
    fn sc18_draws_are_uniform() {
        let mut buckets = [0; 16];
        let draws = 64_000;
        for i in 0..draws {
            buckets[(number(7, i % 5, i / 5) >> 28) as usize] += 1;
        }
        let (least, most) = (buckets.iter().min().unwrap(), buckets.iter().max().unwrap());
        assert!(*least > 3_700 && *most < 4_300, "{buckets:?}");
    }
}
