//! The memory place passes what every place must pass.

#[test]
fn memory_conforms() {
    longshore_store::conformance::place(longshore_store::Memory::new);
}
