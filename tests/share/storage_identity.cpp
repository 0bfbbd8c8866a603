#include "cotenant/share/storage_identity.hpp"

#include <doctest/doctest.h>

#include "cotenant/storage/borrowed.hpp"
#include "cotenant/storage/heap.hpp"
#include "cotenant/storage/mapped.hpp"

namespace ct = cotenant;

namespace storage_identity_test {
struct Named : ct::Heap {};
template <class... X> struct Made : ct::Heap {};
}  // namespace storage_identity_test

namespace {
struct NobodyElses : ct::Heap {};
}  // namespace

TEST_CASE("a storage is known by its type") {
  using ct::StorageIdentity;
  namespace made = storage_identity_test;
  struct Inside : ct::Heap {};
  CHECK(StorageIdentity::of<ct::Heap>() == StorageIdentity::of<ct::Heap>());
  CHECK(StorageIdentity::of<ct::Heap>() != StorageIdentity::of<ct::Mapped>());
  CHECK(StorageIdentity::of<made::Named>() != StorageIdentity::of<ct::Heap>());
  CHECK(StorageIdentity::of<made::Made<int[3], char>>() != StorageIdentity::of<made::Made<int[3], long>>());
  CHECK(StorageIdentity::of<NobodyElses>() == StorageIdentity::of<NobodyElses>());
  CHECK(StorageIdentity::of<Inside>() != StorageIdentity::of<NobodyElses>());
  CHECK(StorageIdentity::of<ct::Heap>().hash() != StorageIdentity::of<ct::Mapped>().hash());
}

// What a library that was loaded at run time has: the same name at another address. tests/package/run.sh plugin loads one.
TEST_CASE("a type of this program's names is the same in every library, one of a single file is not") {
  using namespace ct::detail;
  CHECK(spelling<ct::Borrowed>() == "cotenant::Borrowed");
  CHECK_FALSE(storage_type<ct::Borrowed>.local);
  CHECK_FALSE(storage_type<storage_identity_test::Made<ct::Heap>>.local);
  struct Inside : ct::Heap {};
  CHECK(storage_type<NobodyElses>.local);
  CHECK(storage_type<Inside>.local);
}
