#include "cotenant/vulkan/kernels/attention.hpp"

#include "../test_device.hpp"
#include "product_code.hpp"

// Against the reference: tests/backend/vulkan_attention.cpp.
namespace {
using namespace cotenant;
using namespace cotenant::vulkan;

TEST_CASE("tiles of attention are sound modules") {
  const Capabilities device = test::paper_device();
  vulkan::detail::AttentionCode code;
  for (const Fetch fetch : test::every_fetch)
    for (const MaskKind mask : {MaskKind::none, MaskKind::keep, MaskKind::add}) {
      code.product = test::plain_code(DType::f16, DType::f16, DType::f16, fetch, Fetch::vector_depth, 2);
      code.product.extra = {{DType::bf16, Along::strided, false}};
      if (mask != MaskKind::none) code.product.extra.push_back({mask == MaskKind::keep ? DType::boolean : DType::f32, Along::strided, false});
      code.fetch_v = fetch, code.mask = mask, code.causal = mask == MaskKind::add;
      test::check_words(vulkan::detail::AttentionEmitter({device, Addressing::pointers}, code, {8, 8, 2, 16, true}).emit());
    }
}

TEST_CASE("rows wider than a tile may take the queries' place") {
  const test::Checked gpu;
  // One key: every result is its value.
  const std::size_t width = 300;
  std::vector<float> values(width);
  for (std::size_t i = 0; i < width; ++i) values[i] = static_cast<float>(i);
  const auto v = test::to_device(*gpu, values), k = test::to_device(*gpu, std::vector<float>(width, 1.f));
  const auto q = test::to_device(*gpu, std::vector<float>(3 * width, 0.5f));
  const auto row = [&](const auto& x) { return input(x).with(contiguous_layout({1, width})); };
  kernels::attention(gpu->device(), *gpu->shared_stream(),
                     AttentionArguments<float, float, float, bool, float>{input(q).with(contiguous_layout({3, width})), row(k), row(v), {}, 1.f, false,
                         output(q).with(contiguous_layout({3, width}))});
  const auto host = test::to_host(q);
  for (std::size_t i = 0; i < 3 * width; ++i) REQUIRE(host[i] == values[i % width]);
}

}  // namespace
