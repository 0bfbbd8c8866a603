// The Storage contract: what is one, and which missing piece makes a struct none.
#include "cotenant/core/concepts.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <type_traits>

namespace {

using cotenant::Allocation;
using cotenant::AllocatingStorage;
using cotenant::Storage;

struct DeviceTag;
struct DeviceBackend {};
struct OwnBackend {};

// All of the contract; the structs below change one piece each.
struct Complete {
  using backend = DeviceTag;
  using result = Complete;
  static constexpr bool host_accessible = false;
  static constexpr bool writable = true;
  static constexpr std::string_view name() { return "complete"; }
  Complete result_storage() const { return *this; }
  Allocation allocate(std::size_t bytes) { return {nullptr, bytes + device}; }
  void deallocate(Allocation) noexcept {}
  std::size_t device = 0;
};
struct ReadOnly : Complete { static constexpr bool writable = false; };
struct NamesABackendClass : Complete { using backend = OwnBackend; };
struct OtherResult : Complete { Complete result_storage() const { return {}; } };  // result is another storage than itself

struct NoTag {
  using result = NoTag;
  static constexpr bool host_accessible = true, writable = true;
  static constexpr std::string_view name() { return "no tag"; }
  NoTag result_storage() const { return {}; }
  void deallocate(Allocation) noexcept {}
};
struct NotCopyable : Complete {
  NotCopyable(NotCopyable&&) = default;
  NotCopyable& operator=(NotCopyable&&) = default;
};
struct NameIsANumber : Complete { static constexpr int name() { return 3; } };
struct NameNeedsAnInstance : Complete { std::string_view name() const { return "instance"; } };
struct ResultDiffers : Complete { using result = NoTag; };
struct ResultChangesIt : Complete { Complete result_storage() { return {}; } };
struct ReleaseMayThrow : Complete { void deallocate(Allocation) {} };
struct NoRelease : Complete { void deallocate(Allocation) = delete; };
struct AccessIsText : Complete { static inline const std::string host_accessible = "yes"; };

struct CannotAllocate : Complete { Allocation allocate(std::size_t) = delete; };
struct AllocatesPointers : Complete { void* allocate(std::size_t) { return nullptr; } };

}  // namespace

namespace cotenant {
template <> struct backend_for<DeviceTag> { using type = DeviceBackend; };
}  // namespace cotenant

TEST_CASE("a complete storage may or may not make room for new bytes") {
  static_assert(Storage<Complete> && AllocatingStorage<Complete>);
  static_assert(Storage<OtherResult> && AllocatingStorage<OtherResult>);
  static_assert(Storage<ReadOnly> && !AllocatingStorage<ReadOnly>);
  static_assert(Storage<CannotAllocate> && !AllocatingStorage<CannotAllocate>);
  static_assert(Storage<AllocatesPointers> && !AllocatingStorage<AllocatesPointers>);
  // It may carry state, which its results carry on.
  Complete storage;
  storage.device = 7;
  CHECK(storage.result_storage().device == 7);
  CHECK(storage.allocate(64).bytes == 71);
}

TEST_CASE("one missing piece makes it none") {
  static_assert(!Storage<NoTag> && NoTag::host_accessible && NoTag::writable);
  static_assert(!Storage<NotCopyable>);
  static_assert(!Storage<NameIsANumber> && !Storage<NameNeedsAnInstance>);
  static_assert(!Storage<ResultDiffers> && !Storage<ResultChangesIt>);
  static_assert(!Storage<ReleaseMayThrow> && !Storage<NoRelease>);
  static_assert(!Storage<AccessIsText>);
  static_assert(!Storage<int> && !Storage<void> && !Storage<std::string> && !Storage<Complete&>);
}

TEST_CASE("a tag stands for the backend that is named for it, else for itself") {
  static_assert(std::is_same_v<cotenant::backend_of<Complete>, DeviceBackend>);
  static_assert(std::is_same_v<cotenant::backend_of<ReadOnly>, DeviceBackend>);
  static_assert(std::is_same_v<cotenant::backend_of<NamesABackendClass>, OwnBackend>);
  static_assert(std::is_same_v<cotenant::backend_for<int>::type, int>);
}

TEST_CASE("an allocation is nothing until it is made") {
  constexpr Allocation none;
  CHECK(none.data == nullptr);
  CHECK(none.bytes == 0);
}
