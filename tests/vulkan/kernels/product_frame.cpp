#include "cotenant/vulkan/kernels/product_frame.hpp"

#include <set>

#include "product_code.hpp"

namespace {
using namespace cotenant;
using namespace cotenant::vulkan;

TEST_CASE("a key says everything that the code depends on") {
  ProductCode code = test::plain_code(DType::f32, DType::f32, DType::f32, Fetch::vector_depth, Fetch::vector_across);
  std::set<std::string> keys{std::string(code.key())};
  const auto differs = [&](auto change) {
    ProductCode other = code;
    change(other);
    CHECK(keys.insert(std::string(other.key())).second);
  };
  differs([](ProductCode& c) { c.a = DType::f16; });
  differs([](ProductCode& c) { c.out = DType::bf16; });
  differs([](ProductCode& c) { c.fetch_a = Fetch::scalar_depth; });
  differs([](ProductCode& c) { c.batch_rank = 2; });
  differs([](ProductCode& c) { c.vector_out = false; });
  differs([](ProductCode& c) { c.extra = {{DType::f32, Along::dense}}; });
  differs([](ProductCode& c) { c.extra = {{DType::f32, Along::repeated}}; });
  differs([](ProductCode& c) { c.extra = {{DType::f32, Along::strided, false}}; });
  differs([](ProductCode& c) { c.epilogue_text = "relu(a0)"; });
  differs([](ProductCode& c) { c.integers = true; });
}

TEST_CASE("scalars stand in the order in which the frame reads them") {
  MatrixProduct product;
  product.rows = 3, product.columns = 4, product.depth = 5;
  product.operands.resize(3);
  product.operands[0].row = -7, product.operands[0].reach.first = 14;
  ProductCode code = test::plain_code(DType::f32, DType::f32, DType::f32, Fetch::scalar_depth, Fetch::scalar_depth, 2);
  code.scalars = {99};
  const auto scalars = product_scalars(product, code, 16, 8);
  REQUIRE(scalars.size() == 6 + 2 + 3 * 5 + 1);
  CHECK(scalars[0] == 3);
  CHECK(scalars[3] == 16);
  CHECK(scalars[4] == 1);
  CHECK(scalars[5] == 8);
  CHECK(scalars[6] == 1);  // batch axes that are not there have one element
  CHECK(scalars[8] == 14);
  CHECK(scalars[9] == static_cast<std::uint32_t>(-7));
  CHECK(scalars.back() == 99);
}

}  // namespace
