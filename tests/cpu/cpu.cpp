// Cpu: the backend of host memory, and which of its kernels a call goes to. What they compute: tests/backend/.
#include "cotenant/cpu/cpu.hpp"

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "cotenant/storage/borrowed.hpp"

namespace {

using namespace cotenant;

template <class T> Operand<const T> in(const std::vector<T>& memory, const Shape& shape) {
  return {View<const T>(std::span<const T>(memory), shape), nullptr};
}
template <class T> Operand<T> out(std::vector<T>& memory, const Shape& shape) { return {View<T>(std::span<T>(memory), shape), nullptr}; }

template <class Kind, class In, class Out> Out reduced(const std::vector<In>& values) {
  std::vector<Out> result(1);
  Cpu().reduce(ReduceArguments<Kind, In, Out>{in(values, {values.size()}), 1, out(result, Shape{})});
  return result[0];
}

TEST_CASE("host memory is computed on by this backend") {
  static_assert(Backend<Cpu> && Cpu::runs_when_called && std::is_empty_v<Cpu>);
  static_assert(std::is_same_v<backend_of<Heap>, Cpu> && std::is_same_v<backend_of<Borrowed>, Cpu>);
  static_assert(std::is_same_v<Cpu::storage_type, Heap>);
  CHECK(Cpu::name() == "cpu");
  CHECK(std::string(Cpu::target_name()).size() > 0);
  CHECK(Cpu::capabilities().cpu_target == std::string(Cpu::target_name()));
  CHECK(Cpu::capabilities().threads == cpu::thread_count());
}

TEST_CASE("integers are computed as integers, also where float would round") {
  const std::vector<std::int32_t> a{16777217, INT32_MAX};
  std::vector<std::int32_t> result(2);
  const auto plus_one = expr::record<1>([](auto x) { return x + 1; });
  Cpu().map(MapArguments<std::int32_t, decltype(plus_one), std::int32_t>{plus_one, {in(a, {2})}, out(result, {2})});
  CHECK(result == std::vector<std::int32_t>{16777218, INT32_MIN});
  // A float result computes in float.
  std::vector<float> rounded(2);
  Cpu().map(MapArguments<float, decltype(plus_one), std::int32_t>{plus_one, {in(a, {2})}, out(rounded, {2})});
  CHECK(rounded == std::vector<float>{16777216.f, 2147483648.f});

  CHECK(reduced<reduction::Sum, std::int32_t, std::int64_t>({16777217, 16777217}) == 33554434);
  CHECK(reduced<reduction::Maximum, std::int64_t, std::int64_t>({(INT64_C(1) << 60) + 1, INT64_C(1) << 60}) == (INT64_C(1) << 60) + 1);
  // A mean has no integer meaning: it is computed in float, whatever it is written to.
  CHECK(reduced<reduction::Mean, std::int32_t, float>({1, 2}) == 1.5f);
  CHECK(reduced<reduction::Mean, std::uint8_t, float>({255, 255, 255, 254}) == 254.75f);
}

TEST_CASE("quantising rounds to even, stays within its bounds and maps NaN to the zero point") {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> x{1.25f, 0.75f, -1.25f, 1000.f, -infinity, std::numeric_limits<float>::quiet_NaN(), infinity, 0.f};
  const std::vector<float> scale(8, 0.5f);
  const std::vector<std::int8_t> zero(8, 3);
  std::vector<std::int8_t> q(8);
  QuantizeArguments<float, std::int8_t> symmetric{in(x, {8}), in(scale, {8}), {}, -127, 127, out(q, {8})};
  Cpu().quantize(symmetric);
  CHECK(q == std::vector<std::int8_t>{2, 2, -2, 127, -127, 0, 127, 0});
  // A zero point counts where it has a block, as one made by the front door does.
  const auto owner = from(zero, {8});
  symmetric.zero_point = {owner.view(), owner.block().get()};
  symmetric.low = -128;
  Cpu().quantize(symmetric);
  CHECK(q == std::vector<std::int8_t>{5, 5, 1, 127, -128, 3, 127, 3});
  std::vector<float> back(8);
  Cpu().dequantize(DequantizeArguments<std::int8_t, float>{in(q, {8}), in(scale, {8}), symmetric.zero_point, out(back, {8})});
  CHECK(back == std::vector<float>{1.f, 1.f, -1.f, 62.f, -65.5f, 0.f, 62.f, 0.f});
}

TEST_CASE("copy, gather and top_k go to their kernels") {
  const std::vector<float> x{3, 9, 1};
  std::vector<float> copied(3), rows(2), largest(1);
  Cpu().copy(CopyArguments<float>{in(x, {3}), out(copied, {3})});
  CHECK(copied == x);
  const std::vector<std::int64_t> indices{-1, 1};
  Cpu().gather(GatherArguments<float, std::int64_t, float>{in(x, {3}), in(indices, {2}), out(rows, {2})});
  CHECK(rows == std::vector<float>{1, 9});
  std::vector<std::int32_t> where(1);
  Cpu().top_k(TopKArguments<float>{in(x, {3}), out(largest, {1}), out(where, {1})});
  CHECK(largest[0] == 9.f);
  CHECK(where[0] == 1);
  Cpu().synchronize();  // everything is done already
  CHECK(copied[1] == 9.f);
}

TEST_CASE("rows longer than a part of a reduction: every element counts once, NaN stays") {
  const std::size_t count = 3 * 65536 + 77;
  auto x = empty<float>({2, count});
  for (std::size_t i = 0; i < 2 * count; ++i) x.mutable_view().data()[i] = static_cast<float>(i % 7) - 2.f;
  x.mutable_view()(0, 65536) = 50.f;
  x.mutable_view()(1, count - 1) = -60.f;
  for (const bool transposed : {false, true}) {
    const auto y = transposed ? x.transpose() : x;
    const ReduceOptions options{.axes = {transposed ? 0 : 1}};
    double expected = 0;
    for (std::size_t i = 0; i < count; ++i) expected += static_cast<double>(x.view()(1, i));
    CHECK(reduce_sum(y, options).view()(1) == doctest::Approx(expected).epsilon(1e-6));
    CHECK(reduce_max(y, options).view()(0) == 50.f);
    CHECK(reduce_min(y, options).view()(1) == -60.f);
    CHECK(reduce<reduction::AbsMaximum>(y, options).view()(1) == 60.f);
  }
  x.mutable_view()(1, 2 * 65536) = std::numeric_limits<float>::quiet_NaN();
  const auto largest = reduce_max(x, {.axes = {1}});
  CHECK(largest.view()(1) != largest.view()(1));
  CHECK(largest.view()(0) == 50.f);
}

}  // namespace
