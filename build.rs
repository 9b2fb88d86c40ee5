//! The migrations are compiled in: a new file must build them again.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
