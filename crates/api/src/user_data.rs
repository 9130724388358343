//! The seven operations on a player's data that a service offers, declared once: dump, clean and import, each over all
//! namespaces of the service (BEHAVIOUR U-01 … U-08).

use crate::Model;
use crate::contract::{Empty, Operation};

/// How far a task has come that still runs. No SDK knows it; they skip members that they do not know.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct UserDataProgress {
    /// `running`.
    pub state: String,
    /// Entries that are done: dumped, removed, or checked and taken in.
    pub done: i64,
    /// Entries in all, where that is known.
    pub total: Option<i64>,
}

/// Answer to the check of a dump or an import: where the file is once the task has ended, before that how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct UserDataFile {
    /// URL of the file: the dump, or the log of the import. Valid for an hour; another check answers another one.
    pub url: Option<String>,
    /// How far the task has come, while it runs.
    pub progress: Option<UserDataProgress>,
}

/// Answer to the check of a clean: nothing once it has ended (BEHAVIOUR U-03), before that how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct UserDataState {
    /// How far the task has come, while it runs.
    pub progress: Option<UserDataProgress>,
}

/// Where the file of an import is put.
#[derive(Debug, Clone, PartialEq, Eq, Model)]
pub struct PreparedUserData {
    /// Names the import.
    pub upload_token: String,
    /// URL that the file is PUT to within an hour; needs no other permission.
    pub upload_url: String,
}

/// Ties the operations on user data of one service together, so that one set of handlers serves them all.
pub trait UserDataOperations: 'static {
    /// `dumpUserDataByUserId`.
    type Dump: Operation<Answer = Empty>;
    /// `checkDumpUserDataByUserId`.
    type CheckDump: Operation<Answer = UserDataFile>;
    /// `cleanUserDataByUserId`.
    type Clean: Operation<Answer = Empty>;
    /// `checkCleanUserDataByUserId`.
    type CheckClean: Operation<Answer = UserDataState>;
    /// `prepareImportUserDataByUserId`.
    type PrepareImport: Operation<Answer = PreparedUserData>;
    /// `importUserDataByUserId`.
    type Import: Operation<Answer = Empty>;
    /// `checkImportUserDataByUserId`.
    type CheckImport: Operation<Answer = UserDataFile>;

    /// The token of the file to import.
    fn import_token(request: &Self::Import) -> &str;
    /// The token of the import that is asked for.
    fn check_token(request: &Self::CheckImport) -> &str;
}

/// Declares the operations on user data of the surrounding service module.
#[macro_export]
macro_rules! user_data_operations {
    () => {
        /// Writes all that the service holds of a player into a file (BEHAVIOUR U-02, U-06, U-07).
        ///
        /// The answer comes when the file is there; the work goes on when nobody waits for it any more. The file is kept for
        /// a day. Fails with 409 while another task works on the player's data in this service.
        #[derive(Debug, $crate::Operation)]
        #[operation(POST "/system/dump/user/{userId}", name = "dumpUserDataByUserId", component = "namespace",
            repeatable, answer = $crate::contract::Empty)]
        pub struct DumpUserDataByUserId {}

        /// Answers where the file of the last dump is (BEHAVIOUR U-02, U-06).
        ///
        /// While the dump runs there is no `url` but `progress`. Fails with 404 `userData` when there was no dump, or its file
        /// is gone, with 409 when it was interrupted: start it again.
        #[derive(Debug, $crate::Operation)]
        #[operation(GET "/system/dump/user/{userId}", name = "checkDumpUserDataByUserId", component = "namespace",
            answer = $crate::user_data::UserDataFile)]
        pub struct CheckDumpUserDataByUserId {}

        /// Removes all that the service holds of a player (BEHAVIOUR U-03, U-06).
        ///
        /// The answer comes when it is gone; the work goes on when nobody waits for it any more. Repeating it does no harm.
        /// Fails with 409 while another task works on the player's data in this service.
        #[derive(Debug, $crate::Operation)]
        #[operation(POST "/system/clean/user/{userId}", name = "cleanUserDataByUserId", component = "namespace",
            repeatable, answer = $crate::contract::Empty)]
        pub struct CleanUserDataByUserId {}

        /// Says how the last clean ended (BEHAVIOUR U-03, U-06): an empty answer when all is gone.
        ///
        /// While it runs there is `progress`. Fails with 404 `userData` when there was none, with 409 when it was interrupted:
        /// start it again.
        #[derive(Debug, $crate::Operation)]
        #[operation(GET "/system/clean/user/{userId}", name = "checkCleanUserDataByUserId", component = "namespace",
            answer = $crate::user_data::UserDataState)]
        pub struct CheckCleanUserDataByUserId {}

        /// Prepares the import of a dump into a player's data (BEHAVIOUR U-04, U-05).
        #[derive(Debug, $crate::Operation)]
        #[operation(POST "/system/import/user/{userId}/prepare", name = "prepareImportUserDataByUserId",
            component = "namespace", repeatable, answer = $crate::user_data::PreparedUserData)]
        pub struct PrepareImportUserDataByUserId {}

        /// Takes an uploaded dump into a player's data (BEHAVIOUR U-04 … U-06).
        ///
        /// The file is checked whole before anything changes. What is there already stays as it is, so that importing a file
        /// twice changes nothing the second time; the log says what was not taken in. Fails with 400 `uploadToken` when the
        /// token is unknown, expired or used, when nothing was uploaded under it, or when the file is none that this service
        /// takes; with 409 while another task works on the player's data in this service.
        #[derive(Debug, $crate::Operation)]
        #[operation(POST "/system/import/user/{userId}", name = "importUserDataByUserId", component = "namespace",
            repeatable, answer = $crate::contract::Empty)]
        pub struct ImportUserDataByUserId {
            /// Token of the upload.
            #[field(1..=1024)]
            pub upload_token: String,
        }

        /// Answers where the log of an import is (BEHAVIOUR U-04, U-06), also of one that was refused.
        ///
        /// While the import runs there is no `url` but `progress`. Fails with 404 `userData` when there was no such import, with
        /// 409 when it was interrupted: start it again.
        #[derive(Debug, $crate::Operation)]
        #[operation(GET "/system/import/user/{userId}/{uploadToken}", name = "checkImportUserDataByUserId",
            component = "namespace", answer = $crate::user_data::UserDataFile)]
        pub struct CheckImportUserDataByUserId {
            /// Token of the upload.
            #[field(1..=1024)]
            pub upload_token: String,
        }

        impl $crate::user_data::UserDataOperations for Namespaces {
            type Dump = DumpUserDataByUserId;
            type CheckDump = CheckDumpUserDataByUserId;
            type Clean = CleanUserDataByUserId;
            type CheckClean = CheckCleanUserDataByUserId;
            type PrepareImport = PrepareImportUserDataByUserId;
            type Import = ImportUserDataByUserId;
            type CheckImport = CheckImportUserDataByUserId;

            fn import_token(request: &ImportUserDataByUserId) -> &str {
                &request.upload_token
            }

            fn check_token(request: &CheckImportUserDataByUserId) -> &str {
                &request.upload_token
            }
        }
    };
}
