// Copies: contiguous keeps what is row-major, detach copies only what others hold, copy_to changes the storage.
#include <cotenant/ops/copy.hpp>

#include <span>

#include "support.hpp"

namespace cotenant::test {

TEST_CASE("contiguous is the same handle where the tensor is row-major already") {
  const auto x = tensor({1.f, 2.f, 3.f, 4.f}, {2, 2});
  CHECK(x.contiguous().block() == x.block());
  CHECK_FALSE(x.transpose().contiguous().block() == x.block());
  CHECK(list(x.transpose()) == Values{1, 3, 2, 4});
  CHECK_FALSE(static_cast<bool>(SharedTensor<float, ReferenceHeap>{}.contiguous()));
}

TEST_CASE("detach copies only where someone else holds the bytes") {
  auto x = tensor({1.f, 2.f}, {2});
  const void* before = x.block()->data();
  CHECK(x.detach().block()->data() == before);
  auto other = x;
  other.detach().mutable_view()(0) = 9;
  CHECK(list(x) == Values{1, 2});
  CHECK(list(other) == Values{9, 2});
  auto repeated = blank<float>({1}).broadcast_to({3});
  repeated.detach().mutable_view()(1) = 5;
  CHECK(list(repeated) == Values{0, 5, 0});
}

TEST_CASE("copy_to and copy_into cross storages") {
  float outside[] = {1, 2, 3};
  const auto x = tensor({4.f, 5.f, 6.f}, {3});
  copy_into(borrow(std::span<float>(outside), {3}), x);
  CHECK(outside[2] == 6);
  const auto heap = x.slice(0, 2, -1, -1).copy_to<Heap>();
  CHECK(heap.view()(0) == 6);
  CHECK_THROWS_AS(copy_into(blank<float>({2}), x), ShapeError);
  CHECK_THROWS_AS(copy_into(SharedTensor<float, ReferenceHeap>{}, x), InvalidArgument);
}

}  // namespace cotenant::test
