//! The agent surface: who may come in, what they may do there, and what stands of it in the database.

mod articles;
mod attacks;
mod audit_log;
mod bulk;
mod commands;
mod desk;
pub mod erasure;
mod machine_keys;
mod members;
mod merging;
mod opening;
mod permissions;
mod references;
mod retention;
mod saved_replies;
mod search;
mod sessions;
mod sites;
mod snooze;
mod surface;
mod tags;
mod templates;
mod tickets;

pub use permissions::MATRIX;
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Person, Running, World};

/// The people of `acme`, one a role, and the owner of `globex`.
struct People {
    owner: Person,
    admin: Person,
    agent: Person,
    viewer: Person,
    rival: Person,
}

impl People {
    async fn of(world: &World) -> Self {
        Self {
            owner: world.person("acme", "owner").await,
            admin: world.person("acme", "admin").await,
            agent: world.person("acme", "agent").await,
            viewer: world.person("acme", "viewer").await,
            rival: world.person("globex", "owner").await,
        }
    }

    fn roles(&self) -> [(&'static str, &Person); 4] {
        [("owner", &self.owner), ("admin", &self.admin), ("agent", &self.agent), ("viewer", &self.viewer)]
    }
}

impl Running {
    pub async fn get_as(&self, person: &Person, path: &str) -> Answer {
        self.call_as(person, Method::GET, path, None).await
    }

    pub async fn post_as(&self, person: &Person, path: &str, body: Value) -> Answer {
        self.call_as(person, Method::POST, path, Some(&body)).await
    }

    pub async fn put_as(&self, person: &Person, path: &str, body: Value) -> Answer {
        self.call_as(person, Method::PUT, path, Some(&body)).await
    }

    pub async fn patch_as(&self, person: &Person, path: &str, body: Value) -> Answer {
        self.call_as(person, Method::PATCH, path, Some(&body)).await
    }

    pub async fn delete_as(&self, person: &Person, path: &str) -> Answer {
        self.call_as(person, Method::DELETE, path, None).await
    }

    /// A call with a machine key, as a server makes it.
    async fn call_with(&self, key: &str, method: Method, path: &str) -> Answer {
        Answer::of(self.request(method, path).bearer_auth(key)).await
    }

    /// A machine key of somebody; its id and its text.
    async fn machine_key(&self, person: &Person, permissions: &[&str]) -> (String, String) {
        let body = json!({ "name": "robot", "permissions": permissions });
        let made = self.post_as(person, "/v1/orgs/acme/machine-keys", body).await.ok(201).json();
        let text = |field: &str| made[field].as_str().expect("text").to_owned();
        (text("id"), text("key"))
    }
}
