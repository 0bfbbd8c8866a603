#include "cotenant/vulkan/spirv_element.hpp"

#include <cmath>
#include <cstring>
#include <limits>

#include "cotenant/core/convert.hpp"
#include "emitted.hpp"
#include "../error_text.hpp"
#include "test_device.hpp"

using namespace cotenant;
using namespace cotenant::vulkan;

namespace {
// Every f32 pattern of interest: special values, the neighbourhood of each power of two, halves of what f16 and bf16 hold.
std::vector<float> floats() {
  std::vector<float> values{0.f, -0.f, std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(), std::nanf(""),
      -std::nanf(""), 1e-40f, -1e-40f, 127.5f, 255.9f, 256.f, -128.9f, 2147483520.f, 2147483648.f, -2147483648.f, 9.3e18f, -9.3e18f};
  for (std::uint32_t exponent = 0; exponent < 255; ++exponent)
    for (std::uint32_t low : {0u, 1u, 0xFFFu, 0x1000u, 0x1001u, 0x2FFFu, 0x3000u, 0x3001u, 0x7FFFu, 0x8000u, 0x8001u, 0x17FFFu, 0x18000u, 0x7FFFFFu})
      for (std::uint32_t sign : {0u, 0x80000000u}) values.push_back(__builtin_bit_cast(float, sign | exponent << 23 | low));
  while (values.size() % 16 != 0) values.push_back(0.5f);
  return values;
}
// to[i] = from[i] converted, on the device, alone or in vectors.
template <class To, class From> std::vector<To> converted(const Vulkan& gpu, const std::vector<From>& values, std::uint32_t groups) {
  const auto host = from(values, {values.size()});
  auto in = empty<From>({values.size()}, gpu);
  auto out = empty<To>({values.size()}, gpu);
  upload(*gpu.shared_stream(), host.view(), in.block().get(), in.block()->data());
  const std::array<BufferArgument, 2> buffers{BufferArgument{in.block().get(), in.block()->data(), in.bytes(), Access::read},
                                              BufferArgument{out.block().get(), out.block()->data(), out.bytes(), Access::write}};
  const std::uint32_t items = static_cast<std::uint32_t>(values.size()) / (groups == 0 ? 1 : 4 * groups);
  const std::string key = "test: convert " + std::string(to_string(dtype_of<From>)) + " " + std::string(to_string(dtype_of<To>)) + std::to_string(groups);
  gpu.device().launch(*gpu.shared_stream(), {key, buffers, std::array<std::uint32_t, 1>{items}, {(items + 63) / 64, 1, 1}}, [&](const Target& target) {
    KernelBuilder k(target, {.workgroup = 64});
    const Elements x(k, dtype_of<From>), y(k, dtype_of<To>);
    const Value count = k.scalar(), i = k.workgroup_id() * 64u + k.local_index();
    k.when(i < count, [&] {
      if (groups == 0) y.store(i, x.load(i));
      else y.store_vectors(i, x.load_vectors(i, groups));
    });
    return k.finish();
  });
  auto result = empty<To>({values.size()});
  download(*gpu.shared_stream(), out.block().get(), out.block()->data(), result.mutable_view(), result.block().get());
  const auto span = result.view().span();
  return {span.begin(), span.end()};
}
template <class To, class From> void check_conversion(const Vulkan& gpu, const std::vector<From>& values) {
  if ((sizeof(To) == 8 || sizeof(From) == 8) && !gpu.capabilities().shader_int64) {
    CHECK(test::has(test::message([&] { converted<To>(gpu, values, 0); }), "shaderInt64"));
    return;
  }
  for (const std::uint32_t groups : {0u, 1u, 4u}) {
    const auto got = converted<To>(gpu, values, groups);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const To expected = convert<To>(values[i]), have = got[i];
      if (std::memcmp(&expected, &have, sizeof(To)) == 0) continue;
      // Which NaN it is does not matter.
      if constexpr (FloatElement<To>) if (std::isnan(static_cast<float>(expected)) && std::isnan(static_cast<float>(have))) continue;
      if (wrong++ == 0) {
        CAPTURE(groups);
        CAPTURE(i);
        CAPTURE(convert<double>(values[i]));
        CHECK(convert<double>(expected) == convert<double>(have));
      }
    }
    CHECK(wrong == 0);
  }
}
}  // namespace

TEST_CASE("Elements convert as convert() does, for every kind of input, on a device that accesses words only, too") {
  for (const bool words_only : {false, true}) {
    VulkanOptions options = test::checked_options();
    if (words_only) options.pretend = [](Capabilities& device) { device.storage_8bit = device.storage_16bit = device.shader_int64 = false; };
    const test::Checked gpu(options);
    const auto numbers = floats();
    check_conversion<f16>(*gpu, numbers), check_conversion<bf16>(*gpu, numbers);
    check_conversion<std::int8_t>(*gpu, numbers), check_conversion<std::uint8_t>(*gpu, numbers), check_conversion<std::int32_t>(*gpu, numbers);
    check_conversion<std::int64_t>(*gpu, numbers), check_conversion<bool>(*gpu, numbers);
    std::vector<std::int64_t> integers{0, 1, -1, 127, 128, 255, 256, -128, -129, std::int64_t{1} << 31, -(std::int64_t{1} << 31),
        std::int64_t{1} << 40, std::numeric_limits<std::int64_t>::min(),
                                       std::numeric_limits<std::int64_t>::max(), 16777217, 100};
    check_conversion<std::int32_t>(*gpu, integers), check_conversion<std::uint8_t>(*gpu, integers), check_conversion<bool>(*gpu, integers),
        check_conversion<float>(*gpu, integers);
    std::vector<std::int32_t> words;
    for (const std::int64_t i : integers) words.push_back(static_cast<std::int32_t>(i));
    check_conversion<std::int64_t>(*gpu, words), check_conversion<float>(*gpu, words), check_conversion<std::int8_t>(*gpu, words),
        check_conversion<f16>(*gpu, words);
  }
}

TEST_CASE("Elements read all values of the narrow types") {
  const test::Checked gpu;
  std::vector<std::int8_t> signed_bytes;
  std::vector<std::uint8_t> bytes;
  std::vector<f16> halves;
  std::vector<bf16> brains;
  for (int i = 0; i < 256; ++i) signed_bytes.push_back(static_cast<std::int8_t>(i - 128)), bytes.push_back(static_cast<std::uint8_t>(i));
  for (std::uint32_t i = 0; i < 65536; i += 16) {
    f16 half;
    half.bits = static_cast<std::uint16_t>(i | (i >> 5 & 15));
    halves.push_back(half);
    bf16 brain;
    brain.bits = static_cast<std::uint16_t>(i | (i >> 5 & 15));
    if ((brain.bits & 0x7F80) != 0) brains.push_back(brain);  // a device may take f32's subnormals for 0
  }
  brains.resize(brains.size() / 16 * 16);
  check_conversion<float>(*gpu, signed_bytes), check_conversion<float>(*gpu, bytes), check_conversion<float>(*gpu, halves),
      check_conversion<float>(*gpu, brains);
  check_conversion<std::int64_t>(*gpu, signed_bytes), check_conversion<std::uint8_t>(*gpu, signed_bytes), check_conversion<bool>(*gpu, bytes);
}

TEST_CASE("Elements: a device without integers of 64 bits is told apart") {
  Capabilities device = test::usual_device();
  device.shader_int64 = false;
  CHECK_NOTHROW(check_element(device, DType::i32));
  const std::string text = test::message([&] { check_element(device, DType::i64); });
  CHECK(test::has(text, "unsupported"));
  CHECK(test::has(text, "i64"));
}

TEST_CASE("Elements: valid code for every element type, with and without the device's own f16") {
  for (const bool half : {false, true}) {
    Capabilities device = test::usual_device();
    device.shader_float16 = device.rounds_to_even_f16 = half;
    KernelBuilder k({device});
    std::vector<Elements> x, y;
    for (std::size_t d = 0; d < dtype_count; ++d) x.emplace_back(k, static_cast<DType>(d)), y.emplace_back(k, static_cast<DType>(d));
    const Value i = k.local_index();
    for (std::size_t d = 0; d < dtype_count; ++d) {
      y[d].store(i, x[(d + 3) % dtype_count].load(i));
      y[d].store_vectors(i, x[(d + 1) % dtype_count].load_vectors(i, 2));
      y[d].store_vectors(i, x[d].load_repeated(i, 1));
    }
    test::check_valid(k.finish());
  }
}
