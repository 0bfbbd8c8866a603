#include "cotenant/vulkan/kernels/tune_matmul.hpp"

#include "../test_device.hpp"

namespace {
using namespace cotenant;
using namespace cotenant::vulkan;

TEST_CASE("tuning names a tile and products of that class use it, with the same result") {
  const test::Checked gpu;
  const std::string tile = tune_matmul<float>(*gpu, 20, 24, 28);
  CHECK_FALSE(tile.empty());
  const auto a = test::to_device(*gpu, std::vector<float>(20 * 24, 2.f)), b = test::to_device(*gpu, std::vector<float>(24 * 28, 3.f));
  const auto out = empty<float>({20, 28}, *gpu);
  const MatmulArguments<float, float, float, expr::Identity> arguments{input(a).with(contiguous_layout({20, 24})),
      input(b).with(contiguous_layout({24, 28})), {}, {}, output(out)};
  const auto known = ProductTuning::of(gpu->device()).find(gpu->capabilities(), matrix_product(24, arguments.a, arguments.b, arguments.out), false);
  REQUIRE(known.has_value());
  CHECK(known->key() == tile);
  kernels::matmul(*gpu->shared_stream(), arguments);
  for (const float x : test::to_host(out)) REQUIRE(x == 24 * 6.f);
  CHECK(tune_matmul<float>(*gpu, 0, 4, 4).empty());
}

}  // namespace
