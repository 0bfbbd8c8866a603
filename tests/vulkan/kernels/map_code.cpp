#include "cotenant/vulkan/kernels/map_code.hpp"

#include "../emitted.hpp"
#include "cotenant/vulkan/spirv_element.hpp"

using namespace cotenant;
using namespace cotenant::vulkan;

TEST_CASE("emit_map: valid code in every form, narrow and wide, by pointer and by descriptor") {
  const Capabilities device = test::usual_device();
  for (const Addressing addressing : {Addressing::pointers, Addressing::descriptors})
    for (const auto form : {MapCode::Form::flat, MapCode::Form::rows, MapCode::Form::singles})
      for (const bool wide : {false, true}) {
        MapCode code;
        code.form = form;
        code.rank = form == MapCode::Form::flat ? 0 : 4;
        code.groups = form == MapCode::Form::singles ? 0 : 2;
        code.unroll = form == MapCode::Form::flat ? 2 : 1;
        code.wide = wide;
        code.repeated = {false, form != MapCode::Form::singles, false};
        KernelBuilder k({device, addressing}, {.workgroup = MapCode::threads});
        std::vector<Elements> operands;
        for (const DType dtype : {DType::f16, DType::bf16, DType::f16}) operands.emplace_back(k, dtype);
        vulkan::detail::MapFrame frame(k, code, operands.size());
        emit_map(k, code, frame, operands, [](const std::vector<Value>& in) { return in[0] * in[1]; });
        test::check_valid(k.finish());
      }
}

TEST_CASE("MapCode: what the code depends on is in the key") {
  MapCode code, other;
  const auto key = [](const MapCode& of) {
    KernelKey text;
    of.append_to(text);
    return std::string(text.view());
  };
  CHECK(key(code) == key(other));
  const auto differs = [&](auto change) { other = code; change(other); return key(code) != key(other); };
  CHECK(differs([](MapCode& c) { c.form = MapCode::Form::flat; }));
  CHECK(differs([](MapCode& c) { c.rank = 2; }));
  CHECK(differs([](MapCode& c) { c.groups = 2; }));
  CHECK(differs([](MapCode& c) { c.unroll = 2; }));
  CHECK(differs([](MapCode& c) { c.wide = true; }));
  CHECK(differs([](MapCode& c) { c.repeated = {true}; }));
}
