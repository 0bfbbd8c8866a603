#include "cotenant/vulkan/kernels/product_tuning.hpp"

#include <algorithm>
#include <filesystem>

#include "product_code.hpp"

namespace {
using namespace cotenant;
using namespace cotenant::vulkan;

MatrixProduct square(std::size_t n, DType type) { return test::product_of(n, n, n, type); }

TEST_CASE("candidates fit the device, the default one is first") {
  const Capabilities gpu = test::paper_device();
  for (const DType type : {DType::f32, DType::f16, DType::i8}) {
    const MatrixProduct product = square(2048, type);
    const auto plans = product_candidates(gpu, product, type == DType::i8);
    CHECK(plans.size() > 3);
    CHECK(plans[0].key() == default_plan(gpu, product, type == DType::i8, false).key());
    for (const ProductPlan& plan : plans) {
      CHECK(plan.kernel != ProductKernel::workgroup);  // which this device does not list
      if (plan.kernel == ProductKernel::simt) CHECK(plan.simt.shared() * 16 <= gpu.shared_memory_bytes);
      else CHECK(plan.cooperative.k == (type == DType::i8 ? 32u : 16u));
    }
  }
}

TEST_CASE("matrices of a workgroup are a candidate for whole tiles of f16, and what a table says of others is the default") {
  Capabilities gpu = test::paper_device();
  gpu.cooperative_matrix2 = true;
  gpu.flexible_shapes = {{32, 16, 16, ComponentType::float16, ComponentType::float16, ComponentType::float32, ComponentType::float32, false, 2, 128}};
  const auto has = [&](const MatrixProduct& product) {
    const auto plans = product_candidates(gpu, product, false);
    return std::any_of(plans.begin(), plans.end(), [](const ProductPlan& plan) { return plan.kernel == ProductKernel::workgroup; });
  };
  const MatrixProduct whole = square(2048, DType::f16);
  CHECK(has(whole));
  CHECK_FALSE(has(square(2040, DType::f16)));
  CHECK_FALSE(has(square(2048, DType::bf16)));
  MatrixProduct with_bias = whole;
  with_bias.operands.push_back(whole.operands[0]);
  CHECK_FALSE(has(with_bias));
  ProductTuning table("");
  table.set(whole, false, product_candidates(gpu, whole, false).back());
  CHECK(table.find(gpu, whole, false)->kernel == ProductKernel::workgroup);
  CHECK_FALSE(table.find(gpu, square(2040, DType::f16), false).has_value());
  // The same class, whichever of the two asks first.
  for (const std::size_t n : {2040u, 2048u, 2040u}) {
    const MatrixProduct product = square(n, DType::f16);
    ProductPlan plan = default_plan(gpu, product, false, false);
    table.choose(gpu, product, false, plan);
    CHECK((plan.kernel == ProductKernel::workgroup) == (n == 2048));
  }
}

TEST_CASE("a table finds what was set, in a later run too, and ignores what is damaged") {
  const Capabilities gpu = test::paper_device();
  const auto folder = std::filesystem::temp_directory_path() / "cotenant-product-tuning";
  std::filesystem::create_directories(folder);
  const std::string path = (folder / "table.bin").string();
  std::filesystem::remove(path);
  const MatrixProduct product = square(2000, DType::f16);
  const auto plans = product_candidates(gpu, product, false);
  {
    ProductTuning table(path);
    CHECK_FALSE(table.find(gpu, product, false).has_value());
    table.set(product, false, plans.back());
    REQUIRE(table.find(gpu, product, false).has_value());
    // The same class: extents up to the same power of two.
    CHECK(table.find(gpu, square(1500, DType::f16), false)->key() == plans.back().key());
    CHECK_FALSE(table.find(gpu, square(1000, DType::f16), false).has_value());
    CHECK_FALSE(table.find(gpu, square(2000, DType::bf16), false).has_value());
    for (int call = 0; call < 2; ++call) {
      ProductPlan plan = default_plan(gpu, product, false, false), other = default_plan(gpu, square(1000, DType::f16), false, false);
      const KernelKey before = other.key();
      table.choose(gpu, product, false, plan), table.choose(gpu, square(1000, DType::f16), false, other);
      CHECK(plan.key() == plans.back().key());
      CHECK(other.key() == before);
    }
  }
  CHECK(ProductTuning(path).find(gpu, product, false)->key() == plans.back().key());
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
  CHECK_FALSE(ProductTuning(path).find(gpu, product, false).has_value());
  std::filesystem::remove_all(folder);
}

}  // namespace
