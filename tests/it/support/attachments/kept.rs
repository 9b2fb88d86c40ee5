//! Where files are kept: whatever the place, the row decides who reads, and nothing is left behind.

use std::path::{Path, PathBuf};

use uuid::Uuid;
use vicket::objects::Place;

use super::{Customer, PNG, id};
use crate::harness::{Options, Running, World};

/// A directory of its own for each test, removed at its end.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("files-{}", Uuid::new_v4()));
        std::fs::create_dir_all(&path).expect("the target directory is writable");
        Self(path)
    }

    /// The files in it, as paths below it.
    fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut left = vec![self.0.clone()];
        while let Some(directory) = left.pop() {
            for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
                if entry.file_type().expect("a type").is_dir() {
                    left.push(entry.path());
                } else {
                    found.push(entry.path().strip_prefix(&self.0).expect("below").to_owned());
                }
            }
        }
        found
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn serve(world: &World, directory: &Directory) -> Running {
    let attachments = Place::Directory(directory.0.clone());
    world.serve_with(Options { limits: false, attachments, ..Options::default() }).await
}

async fn clean(server: &Running) {
    let objects = server.app.objects.as_ref().expect("an object store");
    objects.clean(&server.app.worker).await.expect("cleaned");
}

#[tokio::test]
async fn a_store_holds_the_bytes_and_the_row_says_whose_they_are() {
    let (world, directory) = (World::new().await, Directory::new());
    let server = serve(&world, &directory).await;
    let customer = Customer::of(&server, &world.site_a).await;
    let added = customer.upload(&[("../../screen.png", PNG), ("b.txt", b"b")]).await.ok(201).json();
    let (one, two) = (id(&added["data"][0]), id(&added["data"][1]));
    assert_eq!(customer.download(&two).await.ok(200).text, "b");
    assert_eq!(customer.download(&one).await.ok(200).header("content-type"), Some("image/png"));
    let place = PathBuf::from(world.site_a.org_id.to_string()).join(world.site_a.id.to_string());
    let files = directory.files();
    assert!(files.len() == 2 && files.iter().all(|file| file.parent() == Some(&place)), "{files:?}");
    assert_eq!(world.look::<i64>("select count(content) from vicket.attachments").await, 0);
    assert_eq!(world.look::<i64>("select count(*) from vicket.object_removals").await, 0);

    let rival = Customer::of(&server, &world.site_c).await;
    rival.download(&one).await.refused(404, "not_found");
    let mixed = Customer { token: customer.token.clone(), ..Customer::of(&server, &world.site_c).await };
    mixed.download(&one).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_deleted_ticket_takes_its_objects_with_it() {
    let (world, directory) = (World::new().await, Directory::new());
    let server = serve(&world, &directory).await;
    let admin = world.person("acme", "admin").await;
    let (gone, stays) = (Customer::of(&server, &world.site_a).await, Customer::of(&server, &world.site_a).await);
    gone.upload(&[("a.txt", b"a"), ("b.txt", b"b")]).await.ok(201);
    let kept = stays.file("c.txt", b"c").await;
    let path = format!("/v1/orgs/acme/tickets/{}", gone.ticket);
    server.call_as(&admin, reqwest::Method::DELETE, &path, None).await.ok(204);
    clean(&server).await;
    assert_eq!(directory.files().len(), 1);
    assert_eq!(world.look::<i64>("select count(*) from vicket.object_removals").await, 0);
    assert_eq!(stays.download(&kept).await.ok(200).text, "c");

    // And a whole site.
    world
        .administer("acme", async |tx| vicket::store::sites::delete(tx, world.site_a.slug).await)
        .await
        .expect("deleted");
    clean(&server).await;
    assert_eq!(directory.files().len(), 0);
}

#[tokio::test]
async fn an_object_that_got_no_row_is_removed_in_time() {
    let (world, directory) = (World::new().await, Directory::new());
    let server = serve(&world, &directory).await;
    let customer = Customer::of(&server, &world.site_a).await;
    let file = customer.file("a.txt", b"a").await;
    // As a process leaves it that ends between the object and its row.
    let (org, site) = (world.site_a.org_id, world.site_a.id);
    let key = format!("{org}/{site}/{}", Uuid::new_v4());
    std::fs::write(directory.0.join(&key), "b").expect("written");
    let reserved =
        format!("insert into vicket.object_removals (org_id, site_id, object_key) values ('{org}', '{site}', '{key}')");
    world.arrange(&reserved).await;
    clean(&server).await;
    assert_eq!(directory.files().len(), 2, "which is not due yet");
    world.arrange("update vicket.object_removals set due_at = now()").await;
    clean(&server).await;
    assert_eq!(directory.files().len(), 1);
    assert_eq!(customer.download(&file).await.ok(200).text, "a");
}

#[tokio::test]
async fn a_store_that_fails_loses_nothing_and_says_try_again() {
    let (world, directory) = (World::new().await, Directory::new());
    let server = serve(&world, &directory).await;
    let customer = Customer::of(&server, &world.site_a).await;
    let file = customer.file("a.txt", b"a").await;
    let aside = directory.0.with_extension("aside");
    std::fs::rename(&directory.0, &aside).expect("renamed");
    std::fs::write(&directory.0, "no directory").expect("written");
    customer.upload(&[("b.txt", b"b")]).await.refused(503, "overloaded");
    let failed = customer.download(&file).await;
    assert!(!failed.refused(503, "overloaded").text.contains("files-"), "no path in an answer");
    assert_eq!(customer.thread().await["messages"][0]["attachments"].as_array().map(Vec::len), Some(1));
    std::fs::remove_file(&directory.0).expect("removed");
    std::fs::rename(&aside, &directory.0).expect("renamed");
    assert_eq!(customer.download(&file).await.ok(200).text, "a");
    customer.upload(&[("b.txt", b"b")]).await.ok(201);
}

#[tokio::test]
async fn files_stay_readable_when_the_place_changes() {
    let (world, directory) = (World::new().await, Directory::new());
    let before = super::serve(&world).await;
    let customer = Customer::of(&before, &world.site_a).await;
    let old = customer.file("old.txt", b"old").await;
    let after = serve(&world, &directory).await;
    let customer = Customer { server: &after, ..customer };
    let new = customer.file("new.txt", b"new").await;
    assert_eq!(customer.download(&old).await.ok(200).text, "old");
    assert_eq!(customer.download(&new).await.ok(200).text, "new");
    let customer = Customer { server: &before, ..customer };
    customer.download(&new).await.refused(500, "internal_error");
}

/// Waits until so many files are there: what is not owned goes beside the request.
async fn holds(directory: &Directory, count: usize) {
    for _ in 0..200 {
        if directory.files().len() == count {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("not {count}: {:?}", directory.files());
}

#[tokio::test]
async fn what_is_refused_or_sent_again_leaves_nothing_in_the_store() {
    let (world, directory) = (World::new().await, Directory::new());
    let server = serve(&world, &directory).await;
    let customer = Customer::of(&server, &world.site_a).await;
    let files: &[(&str, &[u8])] = &[("a.png", PNG), ("b.png", PNG)];
    let first = customer.upload_with(&customer.message, Some("once"), files).await.ok(201).text.clone();
    holds(&directory, 2).await;
    for _ in 0..3 {
        assert_eq!(customer.upload_with(&customer.message, Some("once"), files).await.ok(201).text, first);
    }
    holds(&directory, 2).await;
    // Eight more fit, and nine do not.
    let many: Vec<(&str, &[u8])> = (0..9).map(|_| ("c.png", PNG)).collect();
    customer.upload(&many).await.refused(422, "unprocessable");
    holds(&directory, 2).await;
    customer.upload(&many[..8]).await.ok(201);
    holds(&directory, 10).await;
    let last = id(&customer.thread().await["messages"][0]["attachments"][9]);
    assert_eq!(customer.download(&last).await.ok(200).header("content-type"), Some("image/png"));
}
