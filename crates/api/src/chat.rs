//! Chat: rooms in which players post messages, and subscriptions that tell them of new ones (seed 003, BEHAVIOUR section 7).

mod category;
mod master;
mod message;
mod room;
mod subscribe;

pub use category::*;
pub use master::*;
pub use message::*;
pub use room::*;
pub use subscribe::*;

use crate::contract::{Declaration, Operation, Service};
use crate::namespace::{
    LogSetting, NotificationSetting, ScriptSetting, TransactionSetting, TransactionSettingV2,
};

/// The service.
pub static SERVICE: Service = Service {
    name: "chat",
    segment: "chat",
    grn: "chat",
    script: "chat",
    action: "Gs2Chat",
    regional: true,
    doc: "Rooms in which players post messages, and subscriptions that tell them of new ones.",
    resources: &[
        ("namespace", "{namespaceName}"),
        ("room", "{namespaceName}:room:{roomName}"),
        ("message", "{namespaceName}:room:{roomName}:message:{messageName}"),
        ("subscribe", "{namespaceName}:user:{userId}:subscribe:{roomName}"),
        ("categoryModel", "{namespaceName}:model:{category}"),
        ("categoryModelMaster", "{namespaceName}:model:{category}"),
        ("currentModelMaster", "{namespaceName}"),
    ],
};

crate::namespace_operations! {
    settings {
        /// How transactions of this namespace run.
        pub transaction_setting: Option<TransactionSetting>,
        /// How transactions of this namespace run, as newer SDKs say it.
        pub transaction_setting_v2: Option<TransactionSettingV2>,
        /// Whether players create rooms (BEHAVIOUR CH-02).
        #[field(default = 1)]
        pub allow_create_room: bool,
        /// Days after which a message vanishes; counts for messages that are posted from now on (BEHAVIOUR CH-40, CH-41).
        #[field(1..=30, default = 1)]
        pub message_life_time_days: i32,
        /// Scripts around posting (BEHAVIOUR CH-70).
        pub post_message_script: Option<ScriptSetting>,
        /// Scripts around the creation of a room.
        pub create_room_script: Option<ScriptSetting>,
        /// Scripts around the deletion of a room.
        pub delete_room_script: Option<ScriptSetting>,
        /// Scripts around subscribing.
        pub subscribe_room_script: Option<ScriptSetting>,
        /// Scripts around unsubscribing.
        pub unsubscribe_room_script: Option<ScriptSetting>,
        /// How subscribers learn of new messages (BEHAVIOUR CH-54); through the Gateway namespace `default` when absent.
        pub post_notification: Option<NotificationSetting>,
        /// Where the calls are logged.
        pub log_setting: Option<LogSetting>,
    }
}

crate::user_data_operations!();

/// Every operation of the service.
pub const OPERATIONS: &[&Declaration] = &[
    DescribeNamespaces::DECLARATION,
    CreateNamespace::DECLARATION,
    GetNamespaceStatus::DECLARATION,
    GetNamespace::DECLARATION,
    UpdateNamespace::DECLARATION,
    DeleteNamespace::DECLARATION,
    GetServiceVersion::DECLARATION,
    DumpUserDataByUserId::DECLARATION,
    CheckDumpUserDataByUserId::DECLARATION,
    CleanUserDataByUserId::DECLARATION,
    CheckCleanUserDataByUserId::DECLARATION,
    PrepareImportUserDataByUserId::DECLARATION,
    ImportUserDataByUserId::DECLARATION,
    CheckImportUserDataByUserId::DECLARATION,
    DescribeRooms::DECLARATION,
    CreateRoom::DECLARATION,
    CreateRoomFromBackend::DECLARATION,
    GetRoom::DECLARATION,
    UpdateRoom::DECLARATION,
    UpdateRoomFromBackend::DECLARATION,
    DeleteRoom::DECLARATION,
    DeleteRoomFromBackend::DECLARATION,
    DescribeMessages::DECLARATION,
    DescribeMessagesByUserId::DECLARATION,
    DescribeLatestMessages::DECLARATION,
    DescribeLatestMessagesByUserId::DECLARATION,
    Post::DECLARATION,
    GetMessage::DECLARATION,
    GetMessageByUserId::DECLARATION,
    DeleteMessage::DECLARATION,
    DescribeSubscribes::DECLARATION,
    DescribeSubscribesByRoomName::DECLARATION,
    SubscribeRoom::DECLARATION,
    GetSubscribe::DECLARATION,
    UpdateNotificationType::DECLARATION,
    Unsubscribe::DECLARATION,
    DescribeCategoryModels::DECLARATION,
    GetCategoryModel::DECLARATION,
    DescribeCategoryModelMasters::DECLARATION,
    CreateCategoryModelMaster::DECLARATION,
    GetCategoryModelMaster::DECLARATION,
    UpdateCategoryModelMaster::DECLARATION,
    DeleteCategoryModelMaster::DECLARATION,
    ExportMaster::DECLARATION,
    GetCurrentModelMaster::DECLARATION,
    PreUpdateCurrentModelMaster::DECLARATION,
    UpdateCurrentModelMaster::DECLARATION,
    UpdateCurrentModelMasterFromGitHub::DECLARATION,
];
