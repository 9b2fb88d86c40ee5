//! The object store that may hold the bytes of attachments: a directory, or a bucket of S3 or what speaks like it.
//! PostgreSQL keeps the rows and says who reads them; nothing is fetched here before a policy has shown its row.

use std::{path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use anyhow::Context as _;
use bytes::Bytes;
use object_store::{
    ClientOptions, ObjectStore, ObjectStoreExt as _, RetryConfig, aws::AmazonS3Builder, local::LocalFileSystem,
    path::Path,
};
use tokio::sync::watch;

use crate::{
    db::Worker,
    domain::{files::File, problem::Problem},
    store::{
        self,
        attachments::{Added, Held},
    },
};

/// How long the store may take for one object.
const TIME: Duration = Duration::from_secs(15);
/// Between two looks for objects to remove.
const REMOVE_EVERY: Duration = Duration::from_secs(30);
/// Objects that are removed at one look.
const REMOVED_AT_ONCE: i32 = 500;

/// Where attachments are kept, as it is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Place {
    #[default]
    Database,
    Directory(PathBuf),
    Bucket {
        name: String,
        prefix: String,
    },
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "database" {
            return Ok(Self::Database);
        }
        let url = url::Url::parse(text)
            .map_err(|_| "write `database`, file:///DIRECTORY or s3://BUCKET/PREFIX".to_owned())?;
        let bare =
            url.query().is_none() && url.fragment().is_none() && url.username().is_empty() && url.password().is_none();
        match (url.scheme(), url.host_str(), bare) {
            ("file", None, true) => {
                url.to_file_path().map(Self::Directory).map_err(|()| "not a directory's absolute path".to_owned())
            }
            ("s3", Some(bucket), true) => {
                Ok(Self::Bucket { name: bucket.to_owned(), prefix: url.path().trim_matches('/').to_owned() })
            }
            _ => {
                Err("write `database`, file:///DIRECTORY or s3://BUCKET/PREFIX; credentials come from AWS_*".to_owned())
            }
        }
    }
}

/// An object store.
#[derive(Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: String,
}

impl Objects {
    /// `None` when the database keeps attachments.
    ///
    /// # Errors
    /// When the directory is not there, or the environment does not say how to reach the bucket.
    pub fn open(place: &Place) -> anyhow::Result<Option<Self>> {
        let (store, prefix): (Arc<dyn ObjectStore>, _) = match place {
            Place::Database => return Ok(None),
            Place::Directory(directory) => {
                let store = LocalFileSystem::new_with_prefix(directory)
                    .with_context(|| format!("VICKET_ATTACHMENTS: {} is no directory", directory.display()))?;
                (Arc::new(store.with_fsync(true).with_automatic_cleanup(true)), String::new())
            }
            Place::Bucket { name, prefix } => {
                // A process chooses one implementation of TLS; somebody may have chosen before.
                let _ = rustls::crypto::ring::default_provider().install_default();
                let retry = RetryConfig { max_retries: 2, retry_timeout: TIME, ..RetryConfig::default() };
                let client = ClientOptions::new().with_timeout(TIME).with_connect_timeout(Duration::from_secs(3));
                // `from_env` reads AWS_ALLOW_HTTP into the options that it makes, which these replace.
                let plain = std::env::var("AWS_ALLOW_HTTP").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
                let store = AmazonS3Builder::from_env()
                    .with_bucket_name(name)
                    .with_retry(retry)
                    .with_client_options(client.with_allow_http(plain))
                    .build()
                    .context("VICKET_ATTACHMENTS: the bucket cannot be used")?;
                (Arc::new(store), prefix.clone())
            }
        };
        Ok(Some(Self { store, prefix }))
    }

    fn path(&self, key: &str) -> Path {
        Path::from(format!("{}/{key}", self.prefix))
    }

    /// Writes each file under its key.
    ///
    /// # Errors
    /// `503 overloaded` when the store does not take them; then no row will own what it took, and that is gone again.
    pub async fn put_all(&self, keys: &[String], files: &[File]) -> Result<(), Problem> {
        for (written, (key, file)) in keys.iter().zip(files).enumerate() {
            if let Err(problem) = self.put(key, file.content.clone()).await {
                self.discard(keys[..=written].to_vec());
                return Err(problem);
            }
        }
        Ok(())
    }

    /// Removes what was written and got no row, beside the request. What fails, and what a process that ends leaves, goes within
    /// the hour: the keys are still on the list.
    pub fn discard(&self, keys: Vec<String>) {
        let objects = self.clone();
        tokio::spawn(async move {
            for key in keys {
                let _: Result<(), Problem> = objects.remove(&key).await;
            }
        });
    }

    /// [`discard`](Self::discard) of what an upload wrote under `keys`, unless rows own it or it is not known whether they do:
    /// a COMMIT that nobody answered may have been one.
    pub fn settle(&self, keys: &[String], outcome: &Result<Added, Problem>) {
        let unowned = match outcome {
            Ok(added) => added.repeated,
            Err(problem) => problem.code.status() < 500,
        };
        if unowned {
            self.discard(keys.to_vec());
        }
    }

    async fn put(&self, key: &str, content: Bytes) -> Result<(), Problem> {
        let path = self.path(key);
        let put = self.store.put(&path, content.into());
        timely(async { put.await.map(drop) }).await
    }

    /// # Errors
    /// `503 overloaded` when the store does not answer.
    pub async fn get(&self, key: &str) -> Result<Bytes, Problem> {
        let path = self.path(key);
        timely(async { self.store.get(&path).await?.bytes().await }).await
    }

    async fn remove(&self, key: &str) -> Result<(), Problem> {
        let path = self.path(key);
        timely(async {
            match self.store.delete(&path).await {
                Err(object_store::Error::NotFound { .. }) => Ok(()),
                done => done,
            }
        })
        .await
    }

    /// Removes the objects that no row owns and that are due.
    ///
    /// # Errors
    /// `5xx`; what could not be removed stays due.
    pub async fn clean(&self, worker: &Worker) -> Result<(), Problem> {
        let due = store::usage::objects_due(worker, REMOVED_AT_ONCE).await?;
        let mut removed = Vec::with_capacity(due.len());
        let mut failed = None;
        for key in due {
            match self.remove(&key).await {
                Ok(()) => removed.push(key),
                Err(problem) => failed = Some(problem),
            }
        }
        if !removed.is_empty() {
            store::usage::objects_removed(worker, &removed).await?;
        }
        failed.map_or(Ok(()), Err)
    }
}

/// The bytes of an attachment whose row was seen; `objects` is where attachments are kept, the database when `None`.
///
/// # Errors
/// `503` when the object store does not answer.
pub async fn fetch(objects: Option<&Objects>, held: Held) -> Result<Bytes, Problem> {
    match (held, objects) {
        (Held::Here(content), _) => Ok(content),
        (Held::Elsewhere(key), Some(objects)) => objects.get(&key).await,
        (Held::Elsewhere(_), None) => {
            Err(Problem::internal("an attachment is in an object store, and VICKET_ATTACHMENTS names none"))
        }
    }
}

async fn timely<T>(work: impl Future<Output = object_store::Result<T>>) -> Result<T, Problem> {
    match tokio::time::timeout(TIME, work).await {
        Ok(done) => done.map_err(|error| Problem::overloaded(format_args!("the object store: {error}"))),
        Err(_) => Err(Problem::overloaded("the object store did not answer in time")),
    }
}

/// Removes objects until `stop` turns true.
pub async fn run(objects: Objects, worker: Arc<Worker>, mut stop: watch::Receiver<bool>) {
    while tokio::time::timeout(REMOVE_EVERY, stop.wait_for(|stop| *stop)).await.is_err() {
        if let Err(problem) = objects.clean(&worker).await {
            tracing::error!(cause = problem.cause.as_deref(), "objects could not be removed; they stay on the list");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_database_a_directory_or_a_bucket() {
        assert_eq!("database".parse(), Ok(Place::Database));
        assert_eq!("file:///var/lib/vicket".parse(), Ok(Place::Directory("/var/lib/vicket".into())));
        let bucket = |name: &str, prefix: &str| Ok(Place::Bucket { name: name.to_owned(), prefix: prefix.to_owned() });
        assert_eq!("s3://acme-files/support/".parse(), bucket("acme-files", "support"));
        assert_eq!("s3://acme-files".parse(), bucket("acme-files", ""));
        for bad in ["", "disk", "s3://", "s3://id:secret@bucket", "s3://bucket?key=x", "https://x/y", "file://host/x"] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }
}
