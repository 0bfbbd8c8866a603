#include "cotenant/vulkan/kernels/product_workgroup.hpp"

#include "../emitted.hpp"
#include "product_code.hpp"

namespace {
using namespace cotenant;
using namespace cotenant::vulkan;

TEST_CASE("tiles on matrices of a workgroup are sound modules: one product per step, both sides through layouts") {
  const Capabilities device = test::paper_device();
  for (const Fetch a : {Fetch::vector_depth, Fetch::vector_across})
    for (const Fetch b : {Fetch::vector_depth, Fetch::vector_across}) {
      const auto words = emit_workgroup_product({device, Addressing::pointers}, test::plain_code(DType::f16, DType::f16, DType::f16, a, b, 2), {});
      test::check_words(words);
      CHECK(test::count_of(words, spirv::Op::CooperativeMatrixMulAddKHR) == 1);
      CHECK(test::count_of(words, spirv::Op::CooperativeMatrixLoadTensorNV) == 2);
      CHECK(test::count_of(words, spirv::Op::CooperativeMatrixStoreTensorNV) == 1);
      // A side that lies along the other axis is turned on its way.
      CHECK((test::count_of(words, spirv::Op::CreateTensorViewNV) == 0) == (a == Fetch::vector_depth && b == Fetch::vector_across));
    }
}

TEST_CASE("a device without such matrices, or of other shapes, has no such tile") {
  Capabilities device = test::paper_device();
  MatrixProduct product;
  product.rows = product.columns = product.depth = 256;
  product.operands.resize(3);
  for (MatrixOperand& x : product.operands) x.type = DType::f16, x.row = 256, x.column = 1;
  CHECK_FALSE(may_use_workgroup_matrices(device, product));
  device.cooperative_matrix2 = true;
  CHECK_FALSE(may_use_workgroup_matrices(device, product));
  FlexibleShape shape{32, 16, 16, ComponentType::float16, ComponentType::float16, ComponentType::float32, ComponentType::float32, false, 2, 128};
  device.flexible_shapes = {shape};
  CHECK(may_use_workgroup_matrices(device, product));
  std::swap(product.a().row, product.a().column);
  CHECK(may_use_workgroup_matrices(device, product));
  product.out().row = 260;
  CHECK_FALSE(may_use_workgroup_matrices(device, product));
  product.out().row = 256, device.flexible_shapes[0].k_granularity = 48;
  CHECK_FALSE(may_use_workgroup_matrices(device, product));
}

}  // namespace
