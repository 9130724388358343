//! The macro that declares the statements of a module.

/// Declares SQL statements as constants, and `ALL` with every one of them for the test that prepares each statement
/// on both engines (`Store::prepare_all`).
///
/// ```
/// mod sql {
///     hiroba_store::statements! {
///         /// Adds a thing.
///         INSERT_THING = "INSERT INTO thing (id, count) VALUES ($1, $2)";
///         /// Finds a thing.
///         SELECT_THING = "SELECT count FROM thing WHERE id = $1";
///     }
/// }
/// assert_eq!(sql::ALL, [sql::INSERT_THING, sql::SELECT_THING]);
/// ```
#[macro_export]
macro_rules! statements {
    ($($(#[$meta:meta])* $name:ident = $sql:expr;)+) => {
        $($(#[$meta])* pub(crate) const $name: &str = $sql;)+

        /// Every statement of this module.
        #[allow(dead_code, reason = "read by the test that prepares each statement")]
        pub(crate) const ALL: &[&str] = &[$($name),+];
    };
}

/// Makes a parameter list of values that convert to [`Param`](crate::Param): `params![user_id, 3, None::<i64>]`.
#[macro_export]
macro_rules! params {
    ($($value:expr),* $(,)?) => {
        &[$($crate::Param::from($value)),*] as &[$crate::Param<'_>]
    };
}
