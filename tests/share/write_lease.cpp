// WriteLease: the object. Moving, ending, what it gives access to, outliving the manager.
#include "cotenant/share/write_lease.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "cotenant/share/manager.hpp"
#include "support.hpp"

namespace ct = cotenant;
using namespace share_tests;

namespace {
// Memory at addresses that the host cannot use, as a GPU's.
struct FarMemory {
  using backend = ct::HostBackend;
  using result = FarMemory;
  static constexpr bool host_accessible = false, writable = true;
  static constexpr std::string_view name() { return "far"; }
  FarMemory result_storage() const { return {}; }
  ct::Allocation allocate(std::size_t bytes) { return {far(::operator new(bytes)), bytes}; }
  void deallocate(ct::Allocation memory) noexcept { ::operator delete(far(memory.data)); }
  void copy_between(ct::DType type, ct::Block& from, std::size_t first, ct::Block& to, std::size_t count) const {
    std::memcpy(far(to.data()), static_cast<const std::byte*>(far(from.data())) + first * size_of(type), count * size_of(type));
  }
  static void* far(void* address) noexcept { return reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(address) ^ (std::uintptr_t{1} << 46)); }
};
}  // namespace

TEST_CASE("a write lease begins with the elements, and its end publishes them") {
  static_assert(!std::is_copy_constructible_v<ct::WriteLease<float>> && std::is_nothrow_move_constructible_v<ct::WriteLease<float>>);
  ct::TensorSharingManager manager;
  manager.register_tensor("x", ramp());
  const auto handle = *manager.get<float>("x", "r");
  auto write = manager.write<float>("x", "w");
  CHECK(write);
  CHECK_FALSE(write.in_place());  // the handle
  CHECK(write.name() == "x");
  CHECK(write.model() == "w");
  CHECK(write.version() == 2);
  CHECK(write->shape() == ct::Shape{16});
  CHECK(write.view()(5) == 5.0f);
  write.view()(5) = 50;
  CHECK(manager.get<float>("x", "r")->view()(5) == 5.0f);
  auto moved = std::move(write);
  CHECK_FALSE(write);
  CHECK(has(message_of<ct::InvalidArgument>([&] { static_cast<void>(write.view()); }), "write()"));
  moved.commit();
  moved.commit();
  CHECK_FALSE(moved);
  CHECK_FALSE(moved.discard());
  CHECK(manager.get<float>("x", "r")->view()(5) == 50.0f);
  CHECK(handle.view()(5) == 5.0f);
  CHECK(message_of<ct::ReadOnly>([&] { (*manager.get<float>("x", "r")).slice(0, 0, 4).mutable_view(); }).size() > 0);
}

TEST_CASE("views and slices keep what they were cut from; only the named elements are copied") {
  ct::TensorSharingManager manager;
  manager.register_tensor("x", ramp(4096));
  const auto tail = manager.create_view<float>("x", "tail", {4080}, {16}, "v");
  {
    auto write = manager.write<float>("tail", "w");
    CHECK(write->block()->bytes() == 64);
    CHECK(write->layout().offset == 0);
    write.view()(0) = -1;
  }
  CHECK(tail->view()(0) == 4080.0f);
  CHECK(manager.get<float>("x", "m")->view()(4080) == 4080.0f);
  CHECK(manager.get<float>("tail", "m")->view()(0) == -1.0f);
  {
    auto write = manager.write<float>("x", "w");
    write.view()(4080) = -2;
  }
  CHECK(tail->view()(0) == 4080.0f);
}

TEST_CASE("discarding and assigning") {
  ct::TensorSharingManager manager;
  manager.register_tensor("x", ramp());
  manager.register_tensor("y", ramp(32));
  const auto handle = *manager.get<float>("x", "r");
  auto write = manager.write<float>("x", "w");
  write.view()(0) = 9;
  CHECK(write.discard());
  CHECK(manager.get<float>("x", "r")->view()(0) == 0.0f);
  write = manager.write<float>("x", "w");
  write.view()(0) = 9;
  write = manager.write<float>("y", "w");  // ends the first
  CHECK(manager.get<float>("x", "r")->view()(0) == 9.0f);
  CHECK(write.in_place());
  CHECK_FALSE(write.discard());  // there is no old version left
  CHECK(write);
}

TEST_CASE("the host touches no byte of a tensor on a device to write it anew") {
  ct::TensorSharingManager manager;
  const auto first_of = [](const ct::SharedTensor<float, FarMemory>& tensor) {
    return static_cast<float*>(FarMemory::far(tensor.block()->data())) + tensor.layout().offset;
  };
  const auto whole = ct::empty<float, FarMemory>({8});
  for (int i = 0; i < 8; ++i) first_of(whole)[i] = static_cast<float>(i);
  manager.register_tensor("part", whole.slice(0, 2, 6));
  auto write = manager.write<float, FarMemory>("part", "w");
  CHECK_FALSE(write.in_place());
  CHECK(write->block()->bytes() == 4 * sizeof(float));
  CHECK(first_of(*write)[0] == 2);
  CHECK(first_of(*write)[3] == 5);
}

TEST_CASE("a write lease may outlive the manager") {
  std::optional<ct::TensorSharingManager> manager(std::in_place);
  manager->register_tensor("x", ramp());
  auto write = manager->write<float>("x", "w");
  manager.reset();
  write.view()(1) = 3;
  CHECK(write.view()(1) == 3.0f);
}
