// SharedTensor: handles, views that keep their bytes, reading and writing rights, making tensors.
#include "cotenant/share/tensor.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define COTENANT_TESTS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define COTENANT_TESTS_SANITIZED 1
#endif
#endif
#ifndef COTENANT_TESTS_SANITIZED
#define COTENANT_TESTS_SANITIZED 0
#endif

namespace ct = cotenant;
using ct::Shape;
using ct::SharedTensor;

namespace {
SharedTensor<std::int32_t> counting(const Shape& shape) {
  auto tensor = ct::empty<std::int32_t>(shape);
  const auto span = tensor.mutable_view().span();
  std::iota(span.begin(), span.end(), 0);
  return tensor;
}
}  // namespace

TEST_CASE("an empty handle") {
  const SharedTensor<float> tensor;
  CHECK_FALSE(tensor);
  CHECK(tensor.size() == 0);
  CHECK(tensor.bytes() == 0);
  CHECK(tensor.use_count() == 0);
  CHECK_NOTHROW(static_cast<void>(tensor.view()));
  CHECK_THROWS_WITH_AS(tensor.check_writable(), doctest::Contains("empty tensor"), ct::ReadOnly);
  CHECK_THROWS_AS(SharedTensor<float>(ct::BlockRef(), ct::contiguous_layout({1})), ct::InvalidArgument);
}

TEST_CASE("making tensors") {
  CHECK(ct::zeros<float>({2, 3}).view().at(1, 2) == 0.0f);
  CHECK(ct::full<std::int8_t>({4}, 7).view()(3) == 7);
  const auto tensor = ct::from({1.0f, 2.0f, 3.0f, 4.0f}, {2, 2});
  CHECK(tensor.view()(1, 0) == 3.0f);
  CHECK(tensor.shape(-1) == 2);
  CHECK(tensor.rank() == 2);
  CHECK(tensor.bytes() == 16);
  CHECK(SharedTensor<float>::dtype() == ct::DType::f32);
  CHECK(ct::from(std::vector<std::int64_t>{5}, {}).view()() == 5);
  CHECK(ct::empty<float>({0, 5}).size() == 0);
  CHECK(ct::empty<float>({0, 5}).block());
  CHECK_THROWS_WITH_AS(ct::from({1.0f}, {2}), doctest::Contains("1 values were given for shape [2]"), ct::ShapeError);
  const std::size_t huge = std::numeric_limits<std::size_t>::max();
  CHECK_THROWS_AS(ct::empty<float>({huge}), ct::ShapeError);
#if !COTENANT_TESTS_SANITIZED  // the sanitizers' allocators end the program instead of returning null
  CHECK_THROWS_AS(ct::empty<std::int8_t>({huge / 2}), ct::OutOfMemory);
#endif
  CHECK_THROWS_AS(ct::empty<float>({huge / 2, 4}), ct::ShapeError);
}

TEST_CASE("copies share one block, writes are seen through all of them") {
  auto tensor = counting({2, 3});
  auto copy = tensor;
  CHECK(tensor.use_count() == 2);
  CHECK(copy.block() == tensor.block());
  copy.mutable_view()(0, 1) = 50;
  CHECK(tensor.view()(0, 1) == 50);
  const auto moved = std::move(copy);
  CHECK(tensor.use_count() == 2);
}

TEST_CASE("every view is another handle on the same block") {
  const auto tensor = counting({2, 3, 4});
  const auto same = [&](const auto& view) { return view.block() == tensor.block(); };
  CHECK(tensor.slice(1, 1, 3).view()(0, 0, 0) == 4);
  CHECK(tensor.slice(2, 3, -1, -1).view()(1, 2, 0) == 23);
  CHECK(tensor.slice({1, 0, 2}, {1, 2, 2}).view()(0, 1, 1) == 19);
  CHECK(tensor.select(0, -1).view()(0, 0) == 12);
  CHECK(tensor.transpose().view()(1, 3, 2) == 23);
  CHECK(tensor.transpose(0, 1).view()(2, 1, 3) == 23);
  CHECK(tensor.permute({2, 0, 1}).view()(3, 1, 2) == 23);
  CHECK(tensor.reshape({6, 4}).view()(5, 3) == 23);
  CHECK(tensor.select(0, 0).broadcast_to({5, 3, 4}).view()(4, 2, 3) == 11);
  CHECK(tensor.unsqueeze(0).squeeze(0).layout() == tensor.layout());
  CHECK((same(tensor.slice(1, 1, 3)) && same(tensor.transpose()) && same(tensor.reshape({24})) && same(tensor.broadcast_to({2, 2, 3, 4}))));
  CHECK(tensor.use_count() == 1);
  CHECK_FALSE(tensor.transpose().is_contiguous());
  CHECK_THROWS_WITH_AS(tensor.transpose().reshape({24}), doctest::Contains("call contiguous() first"), ct::ShapeError);
  CHECK_THROWS_AS(tensor.with({{33}, {1}, 0}), ct::ShapeError);  // 24 elements lie in a block padded to 32
  CHECK_THROWS_AS(tensor.with({{8, 8}, {1, 1}, 24}), ct::ShapeError);
}

TEST_CASE("a view keeps its bytes alive") {
  std::vector<float> memory{1, 2, 3, 4};
  bool freed = false;
  auto tensor = ct::borrow(std::span<float>(memory), {2, 2}, [&] { freed = true; });
  auto row = tensor.select(0, 1);
  tensor = {};
  CHECK_FALSE(freed);
  CHECK(row.view()(1) == 4.0f);
  row = {};
  CHECK(freed);
}

TEST_CASE("writing needs a private block and distinct elements") {
  auto tensor = counting({4});
  CHECK_NOTHROW(tensor.mutable_view());
  auto repeated = tensor.slice(0, 0, 1).broadcast_to({3});
  CHECK_THROWS_WITH_AS(repeated.mutable_view(), doctest::Contains("stride 0"), ct::ReadOnly);
  tensor.block()->publish();
  CHECK_THROWS_WITH_AS(tensor.mutable_view(), doctest::Contains("detach()"), ct::ReadOnly);
  CHECK_THROWS_AS(tensor.slice(0, 0, 2).mutable_view(), ct::ReadOnly);
  CHECK(tensor.view()(2) == 2);
}

TEST_CASE("layouts are checked against the block") {
  const auto tensor = counting({16});  // exactly 64 bytes: no padding to hide in
  const ct::BlockRef block = tensor.block();
  CHECK_NOTHROW(SharedTensor<std::int32_t>(block, ct::contiguous_layout({4, 4})));
  CHECK_THROWS_AS(SharedTensor<std::int32_t>(block, ct::contiguous_layout({17})), ct::ShapeError);
  CHECK_THROWS_AS(SharedTensor<std::int64_t>(block, ct::contiguous_layout({9})), ct::ShapeError);
  CHECK_THROWS_AS(SharedTensor<std::int32_t>(block, ct::Layout{{2}, {-1}, 0}), ct::ShapeError);
  CHECK_THROWS_AS((SharedTensor<std::int32_t, ct::Borrowed>(block, ct::contiguous_layout({1}))), ct::TypeError);
}

TEST_CASE("what an op takes") {
  static_assert(ct::TensorLike<SharedTensor<float>> && !ct::TensorLike<float> && !ct::TensorLike<ct::View<float>>);
  static_assert(std::is_same_v<ct::element_type_of<SharedTensor<ct::f16>>, ct::f16>);
  static_assert(std::is_same_v<ct::storage_type_of<SharedTensor<float, ct::Borrowed>>, ct::Borrowed>);
  static_assert(std::is_nothrow_move_constructible_v<SharedTensor<float>>);
  const auto tensor = counting({2});
  CHECK(&as_tensor(tensor) == &tensor);
}

TEST_CASE("a frozen tensor is read by everybody and written by nobody") {
  ct::SharedTensor<float> tensor = ct::zeros<float>({2, 2});
  CHECK_NOTHROW(tensor.mutable_view());
  tensor.freeze();
  CHECK_THROWS_WITH_AS(tensor.mutable_view(), doctest::Contains("detach()"), ct::ReadOnly);
  CHECK(tensor.view()(1, 1) == 0.0f);
  CHECK_NOTHROW(ct::SharedTensor<float>().freeze());
}
