// quantize and dequantize: per tensor, channel and block, ranges found in the data, and what they refuse.
#include <cotenant/ops/quantize.hpp>

#include "support.hpp"

namespace cotenant::test {

TEST_CASE("given parameters: ties to even, saturation, zero point") {
  const auto x = tensor({0.5f, 1.5f, -2.5f, 1000.f, -1000.f}, {5});
  const auto one = tensor({1.f}, {1});
  CHECK(list(quantize<std::int8_t>(x, one)) == Values{0, 2, -2, 127, -128});
  CHECK(list(quantize<std::uint8_t>(x, one, tensor<std::uint8_t>({10}, {1}))) == Values{10, 12, 8, 255, 0});
}

TEST_CASE("a parameter's dimensions divide the values': tensor, channel, block") {
  const auto x = tensor({1.f, 2.f, 3.f, 4.f, 10.f, 20.f, 30.f, 40.f}, {2, 4});
  CHECK(list(quantize<std::int8_t>(x, tensor({1.f, 10.f}, {2, 1}))) == Values{1, 2, 3, 4, 1, 2, 3, 4});
  CHECK(list(quantize<std::int8_t>(x, tensor({1.f, 2.f, 10.f, 20.f}, {2, 2}))) == Values{1, 2, 2, 2, 1, 2, 2, 2});
  CHECK(list(dequantize(tensor<std::int8_t>({1, 2, 3, 4}, {4}), tensor({1.f, 10.f}, {2}))) == Values{1, 2, 30, 40});
  CHECK(has(message_of<ShapeError>([&] { quantize<std::int8_t>(x, blank<float>({3})); }), "equal blocks"));
  CHECK_THROWS_AS(quantize<std::int8_t>(x, blank<float>({1, 1, 1})), ShapeError);
  CHECK_THROWS_AS(quantize<std::int8_t>(x, blank<float>({2, 1}), blank<std::int8_t>({1})), ShapeError);
}

TEST_CASE("int8 ranges are symmetric: scale max |x| / 127, values in ±127, no zero point") {
  const auto q = quantize<std::int8_t>(tensor({-2.f, 1.f, 0.f}, {3}));
  CHECK(list(q.values) == Values{-127, 64, 0});
  CHECK(list(q.scale)[0] == doctest::Approx(2.0 / 127));
  CHECK_FALSE(static_cast<bool>(q.zero_point));
  CHECK(list(dequantize(q))[0] == doctest::Approx(-2));
  CHECK(list(quantize<std::int8_t>(blank<float>({3})).scale) == Values{1});
}

TEST_CASE("uint8 ranges hold zero exactly") {
  const auto q = quantize<std::uint8_t>(tensor({1.f, 3.f, 0.f, -4.f}, {2, 2}), 0);
  CHECK(list(q.zero_point) == Values{0, 255});
  CHECK(list(q.values) == Values{85, 255, 255, 0});
  CHECK(list(dequantize(q))[2] == 0);
}

TEST_CASE("each element of a vector may be a channel of its own") {
  CHECK(list(quantize<std::int8_t>(tensor({-2.f, 1.f}, {2}), 0).values) == Values{-127, 127});
}

}  // namespace cotenant::test
