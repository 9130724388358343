//! Every misuse of the derives has a message that says what to write instead. After a change of a message,
//! `TRYBUILD=overwrite cargo test -p hiroba-derive` rewrites the expected ones.

#[test]
fn misuse_is_explained() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
