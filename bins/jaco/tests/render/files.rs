//! What the commands for secrets and configs print.

use std::fs;

use jaco_client::testing::FakeCluster;

use super::said;

#[tokio::test]
async fn secrets_are_set_listed_and_deleted() {
    let fake = FakeCluster::default();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    fs::write(&file, "hunter2").unwrap();
    let file = file.to_str().unwrap();
    let set = ["secret", "set", "db", "--from-file", file, "--deployments", "shop,blog-*"];
    insta::assert_snapshot!("secret_set", said(&fake, &set).await);
    fake.edit(|t| {
        for row in t.files.values_mut() {
            row.used_by = vec!["shop/db".into(), "shop/web".into()];
            row.updated_at = 86_400_000;
        }
    });
    insta::assert_snapshot!("secret_set_again", said(&fake, &set).await);
    insta::assert_snapshot!("secrets", said(&fake, &["secret", "list"]).await);
    insta::assert_snapshot!("secrets_json", said(&fake, &["secret", "list", "-o", "json"]).await);
    insta::assert_snapshot!("configs", said(&fake, &["config", "list", "-o", "json"]).await);
    insta::assert_snapshot!("secret_delete", said(&fake, &["secret", "delete", "db"]).await);
    insta::assert_snapshot!("secret_absent", said(&fake, &["secret", "delete", "db"]).await);
    assert!(fake.read(|t| t.calls[0] == "set Secret db"), "{:?}", fake.calls());
    let missing = ["config", "set", "app", "--from-file", "/nonexistent/app.toml"];
    insta::assert_snapshot!("config_unreadable", said(&fake, &missing).await);
}
