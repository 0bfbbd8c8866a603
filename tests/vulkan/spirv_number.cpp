#include "cotenant/vulkan/spirv_number.hpp"

#include <functional>

#include "cotenant/vulkan/kernel.hpp"
#include "emitted.hpp"

using namespace cotenant;
using namespace cotenant::vulkan;

namespace {
spirv::Words emitted(const Capabilities& device, const std::function<Value(Value, Value)>& code) {
  KernelBuilder k({device});
  const Buffer x = k.buffer(k.vector(k.f32(), 4));
  const Value i = k.local_index();
  x.store(i, code(x.load(i), x.load(i + 1u)));
  return k.finish();
}
}  // namespace

// What they compute: spirv_math.cpp, on a device.
TEST_CASE("comparisons look at the bits only where the device takes subnormals for 0") {
  Capabilities device = test::usual_device();
  const auto compare = [](Value a, Value b) { return select(spirv::less(a, b) || spirv::equal(a, b), a, b); };
  const auto by_bits = emitted(device, compare);
  test::check_valid(by_bits);
  CHECK(test::count_of(by_bits, spirv::Op::SLessThan) > 0);
  device.denormals_preserved_f32 = true;
  const auto as_is = emitted(device, compare);
  test::check_valid(as_is);
  CHECK(test::count_of(as_is, spirv::Op::SLessThan) == 0);
  CHECK(test::count_of(as_is, spirv::Op::FOrdLessThan) == 1);
}

TEST_CASE("a quotient is corrected only where the device does not round it") {
  Capabilities device = test::usual_device();
  const auto quotient = [](Value a, Value b) { return spirv::divide(a, b); };
  CHECK(test::count_of(emitted(device, quotient), spirv::Op::ExtInst) > 0);
  device.fuses_multiply_add = false;
  CHECK(test::count_of(emitted(device, quotient), spirv::Op::ExtInst) == 0);
}

TEST_CASE("minima, roots and rounding are valid code of vectors") {
  const Capabilities device = test::usual_device();
  test::check_valid(emitted(device, [](Value a, Value b) {
    using namespace spirv;
    return minimum(a, b) + maximum(a, b) + sqrt(a) + rsqrt(b) + floor(a) + ceil(b) + round(a) + abs(negate(a)) + reciprocal(b) +
           keep_nan(a, with_sign_of(a, abs(b)));
  }));
}
