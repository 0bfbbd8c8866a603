#include "cotenant/vulkan/spirv_expression.hpp"

#include "cotenant/vulkan/spirv_element.hpp"
#include "emitted.hpp"

using namespace cotenant;
using namespace cotenant::vulkan;

namespace {
const auto everything = [](auto x, auto y) {
  const auto a =
      exp(x) + log(y) * sqrt(x) - rsqrt(y) / reciprocal(x) + tanh(x) + erf(y) + sigmoid(x) + gelu(y) + gelu_tanh(x) + silu(y) + floor(x) + ceil(y) + round(x);
  const auto b = select(x < y, -x, abs(y)) + select(x, 1, y) + (x <= y) + (x > y) + (x >= y) + (x == y) + (x != y);
  return max(relu(a), min(b, pow(x, 2.f))) + elu(x) + softplus(y);
};
template <class E> spirv::Words emitted(const E&, DType compute, bool vectors, DType element) {
  const Capabilities device = test::usual_device();
  KernelBuilder k({device});
  const Elements x(k, element), y(k, element);
  const RecordedCode code(k, expression_text<E>(), compute);
  const Value i = k.local_index();
  if (vectors) y.store_vectors(i, {code({x.load_vectors(i, 1)[0], y.load_vectors(i, 1)[0]})});
  else y.store(i, code({x.load(i), y.load(i)}));
  return k.finish();
}
}  // namespace

TEST_CASE("RecordedCode: every op in float, on numbers and vectors") {
  const auto expression = expr::record<2>(everything);
  for (const bool vectors : {false, true}) test::check_valid(emitted(expression, DType::f32, vectors, DType::f16));
}

TEST_CASE("RecordedCode: integers of 32 and 64 bits") {
  const auto expression = expr::record<2>([](auto x, auto y) { return select(x == y, max(x * y - 7, min(x, -y)) + abs(x), relu(y)) + (x < 3); });
  for (const bool vectors : {false, true}) {
    test::check_valid(emitted(expression, DType::i32, vectors, DType::u8));
    test::check_valid(emitted(expression, DType::i64, vectors, DType::i64));
  }
}

TEST_CASE("RecordedCode: an op without code is refused by name") {
  const Capabilities device = test::usual_device();
  KernelBuilder k({device});
  const RecordedCode code(k, "sine(a0)", DType::f32);
  try {
    code({k.constant(1.f)});
    FAIL("refused");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::invalid_argument);
    CHECK(std::string(error.what()).find("sine") != std::string::npos);
  }
}
