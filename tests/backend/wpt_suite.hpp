// WebNN conformance cases, run through the ops on a backend. They are read from the folder that the environment
// variable COTENANT_WPT names (JSON files: one per operator); without it the test says that no case ran.
#ifndef COTENANT_TESTS_BACKEND_WPT_SUITE_HPP
#define COTENANT_TESTS_BACKEND_WPT_SUITE_HPP
#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "cotenant/core/json.hpp"
#include "cotenant/ops/copy.hpp"
#include "cotenant/ops/layer_norm.hpp"
#include "cotenant/ops/map.hpp"
#include "cotenant/ops/matmul.hpp"
#include "cotenant/ops/quantize.hpp"
#include "cotenant/ops/softmax.hpp"

namespace cotenant::test::wpt {

// A case that uses what this library does not offer; counted and named, never passed.
struct Skip {
  std::string reason;
};

inline double number(const json::Value& value) {
  if (const auto* whole = value.get_if<std::int64_t>()) return static_cast<double>(*whole);
  if (const auto* real = value.get_if<double>()) return *real;
  const auto* word = value.get_if<std::string>();
  REQUIRE(word != nullptr);
  return std::strtod(word->c_str(), nullptr);  // "Infinity", "-Infinity", "NaN", or a big integer
}
template <class T> Dimensions<T> dimensions(const json::Value& array) {
  Dimensions<T> result;
  for (const json::Value& value : *array.get_if<json::Array>()) result.append(static_cast<T>(number(value)));
  return result;
}
inline const json::Value& member(const json::Value& object, const char* key) {
  const json::Value* found = object.get_if<json::Object>()->find(key);
  REQUIRE(found != nullptr);
  return *found;
}
inline const json::Value* find(const json::Value* object, const char* key) { return object == nullptr ? nullptr : object->get_if<json::Object>()->find(key); }

// Representable numbers between a and b.
template <class T> double ulp_distance(T a, T b) {
  const auto ordered = [](T x) {
    if constexpr (std::is_same_v<T, float>) {
      const auto bits = std::bit_cast<std::int32_t>(x);
      return static_cast<double>(bits < 0 ? -(bits & 0x7FFFFFFF) : bits);
    } else if constexpr (std::is_same_v<T, f16>) {
      return static_cast<double>(x.bits & 0x8000 ? -(x.bits & 0x7FFF) : x.bits);
    } else {
      return static_cast<double>(x);
    }
  };
  return std::abs(ordered(a) - ordered(b));
}

template <class Fixture> class Runner {
 public:
  using S = typename Fixture::storage_type;
  template <class T> using Tensor = SharedTensor<T, S>;

  Runner(const json::Value& graph, const std::string& name) : graph_(graph), name_(name) {}

  void run() {
    const auto& operators = *member(graph_, "operators").get_if<json::Array>();
    if (operators.size() != 1) throw Skip{"more than one operator"};
    operator_ = &operators[0];
    for (const json::Value& argument : *member(*operator_, "arguments").get_if<json::Array>())
      for (const auto& [key, value] : argument.get_if<json::Object>()->members()) {
        arguments_[key] = &value;
        positional_.push_back(&value);
      }
    const std::string operation = *member(*operator_, "name").get_if<std::string>();
    const std::string type = data_type(*positional_.at(0));
    if (type == "float32") run_as<float>(operation);
    else if (type == "float16") run_as<f16>(operation);
    else if (type == "int8") run_as<std::int8_t>(operation);
    else if (type == "uint8") run_as<std::uint8_t>(operation);
    else if (type == "int32") run_as<std::int32_t>(operation);
    else if (type == "int64") run_as<std::int64_t>(operation);
    else if (type == "int4" && operation == "dequantizeLinear")
      check(dequantize(packed(tensor<std::int8_t>(*positional_.at(0))), tensor<float>(*arguments_.at("scale")), tensor<std::int8_t>(*arguments_.at("zeroPoint"))), 1);
    else throw Skip{type + " elements"};
  }

 private:
  const json::Value& input_named(const json::Value& name) {
    if (const auto* list = name.get_if<json::Array>()) return input_named(list->at(0));
    return member(member(graph_, "inputs"), name.get_if<std::string>()->c_str());
  }
  std::string data_type(const json::Value& name) {
    const json::Value& type = member(member(input_named(name), "descriptor"), "dataType");
    return *type.get_if<std::string>();
  }
  template <class T> static std::vector<T> values(const json::Value& node, std::size_t count) {
    const json::Value& data = member(node, "data");
    std::vector<T> result;
    if (const auto* list = data.get_if<json::Array>())
      for (const json::Value& value : *list) result.push_back(convert<T>(number(value)));
    else result.push_back(convert<T>(number(data)));
    if (result.size() == 1) result.resize(count, result[0]);
    REQUIRE(result.size() == count);
    return result;
  }
  template <class T> Tensor<T> tensor(const json::Value& name) {
    const json::Value& node = input_named(name);
    const auto shape = dimensions<std::size_t>(member(member(node, "descriptor"), "shape"));
    return from(values<T>(node, element_count(shape)), shape).copy_to(Fixture::storage());
  }
  const json::Value* option(const char* key) { return arguments_.contains("options") ? find(arguments_["options"], key) : nullptr; }

  template <class T> void check(const Tensor<T>& result, double ulps, double absolute = 0) {
    const json::Value& outputs = member(graph_, "expectedOutputs");
    const json::Object* by_name = outputs.get_if<json::Object>();
    const json::Value& wanted = by_name->members().at(0).value;
    const auto shape = dimensions<std::size_t>(member(member(wanted, "descriptor"), "shape"));
    REQUIRE_MESSAGE(to_string(shape) == to_string(result.shape()), name_);
    const auto expected = values<T>(wanted, element_count(shape));
    const auto host = result.template copy_to<Heap>();
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const T have = host.view().data()[i], want = expected[i];
      const double difference = std::abs(convert<double>(have) - convert<double>(want));
      const bool both_nan = convert<double>(have) != convert<double>(have) && convert<double>(want) != convert<double>(want);
      const bool close = have == want || both_nan || ulp_distance(have, want) <= ulps || difference <= absolute;
      if (!close) FAIL_CHECK(name_ << ": element " << i << " is " << convert<double>(have) << ", expected " << convert<double>(want));
    }
  }

  // 4-bit values are packed in pairs; their zero points are not.
  static Tensor<i4x2> packed(const Tensor<std::int8_t>& values) {
    const auto host = values.template copy_to<Heap>();
    std::vector<i4x2> pairs;
    for (std::size_t i = 0; i < host.size(); i += 2) pairs.emplace_back(host.view().data()[i], host.view().data()[i + 1]);
    return from(pairs, detail::packed_shape(values.shape())).copy_to(Fixture::storage());
  }
  static Tensor<std::int8_t> unpacked(const Tensor<i4x2>& pairs) {
    const auto host = pairs.template copy_to<Heap>();
    std::vector<std::int8_t> values;
    for (const i4x2 pair : host.view().span()) {
      values.push_back(static_cast<std::int8_t>(pair.low()));
      values.push_back(static_cast<std::int8_t>(pair.high()));
    }
    return from(values, detail::values_shape<i4x2>(pairs.shape())).copy_to(Fixture::storage());
  }

  template <class T> void run_as(const std::string& operation) {
    const json::Value& first = *positional_.at(0);
    if (operation == "reshape") return check(tensor<T>(first).reshape(dimensions<std::size_t>(*positional_.at(1))), 0);
    if (operation == "transpose") return transpose_case<T>(tensor<T>(first));
    if (operation == "slice") return slice_case<T>(tensor<T>(first));
    if (operation == "concat") return concat_case<T>(first);
    if (operation == "relu") return check(map([](auto x) { return relu(x); }, tensor<T>(first)), 0);
    if constexpr (FloatElement<T>) {
      if (operation == "add") return check(map([](auto a, auto b) { return a + b; }, tensor<T>(first), tensor<T>(*positional_.at(1))), 1);
      if (operation == "mul") return check(map([](auto a, auto b) { return a * b; }, tensor<T>(first), tensor<T>(*positional_.at(1))), 1);
      if (operation == "sigmoid") return check(map([](auto x) { return sigmoid(x); }, tensor<T>(first)), std::is_same_v<T, float> ? 34 : 10);
      if (operation == "softmax") {
        const auto x = tensor<T>(first);
        const auto axis = static_cast<std::ptrdiff_t>(number(*positional_.at(1)));
        return check(softmax(x, axis), 3.0 * static_cast<double>(x.shape(axis)) + 3);
      }
      if (operation == "matmul") {
        const auto a = tensor<T>(first);
        return check(matmul(a, tensor<T>(*positional_.at(1))), 2.0 * static_cast<double>(a.shape(-1)));
      }
      if (operation == "layerNormalization") return layer_norm_case<T>(tensor<T>(first));
      if constexpr (std::is_same_v<T, float>)
        if (operation == "quantizeLinear") {
          const std::string type = data_type(*arguments_.at("zeroPoint"));
          const auto scale = tensor<float>(*arguments_.at("scale"));
          if (type == "int8") return check(quantize<std::int8_t>(tensor<T>(first), scale, tensor<std::int8_t>(*arguments_.at("zeroPoint"))), 1);
          if (type == "uint8") return check(quantize<std::uint8_t>(tensor<T>(first), scale, tensor<std::uint8_t>(*arguments_.at("zeroPoint"))), 1);
          if (type == "int4") return check(unpacked(quantize<i4x2>(tensor<T>(first), scale, tensor<std::int8_t>(*arguments_.at("zeroPoint")))), 1);
          throw Skip{"quantizeLinear to " + type};
        }
    }
    if constexpr (QuantizedElement<T>)
      if (operation == "dequantizeLinear") return check(dequantize(tensor<T>(first), tensor<float>(*arguments_.at("scale")), tensor<T>(*arguments_.at("zeroPoint"))), 1);
    throw Skip{operation + " on these elements"};
  }

  template <class T> void transpose_case(const Tensor<T>& x) {
    Layout layout = x.layout();
    std::vector<std::size_t> order(x.rank());
    std::iota(order.rbegin(), order.rend(), std::size_t{0});
    if (const json::Value* given = option("permutation")) {
      const auto permutation = dimensions<std::size_t>(*given);
      order.assign(permutation.begin(), permutation.end());
    }
    check(x.with(permute(layout, order)), 0);
  }
  template <class T> void slice_case(const Tensor<T>& x) {
    const auto starts = dimensions<std::size_t>(*positional_.at(1)), sizes = dimensions<std::size_t>(*positional_.at(2));
    Tensor<T> result = x.slice(starts, sizes);
    if (const json::Value* given = option("strides")) {
      const auto steps = dimensions<std::ptrdiff_t>(*given);
      for (std::size_t axis = 0; axis < x.rank(); ++axis)
        result = result.slice(static_cast<std::ptrdiff_t>(axis), 0, static_cast<std::ptrdiff_t>(sizes[axis]), steps[axis]);
    }
    check(result, 0);
  }
  // A concatenation is copies into slices of the result.
  template <class T> void concat_case(const json::Value& names) {
    const auto axis = static_cast<std::ptrdiff_t>(number(*positional_.at(1)));
    std::vector<Tensor<T>> parts;
    for (const json::Value& name : *names.get_if<json::Array>()) parts.push_back(tensor<T>(name));
    Shape shape = parts[0].shape();
    shape[static_cast<std::size_t>(axis)] = 0;
    for (const auto& part : parts) shape[static_cast<std::size_t>(axis)] += part.shape(axis);
    const auto result = empty_like<T>(parts[0], shape);
    std::ptrdiff_t at = 0;
    for (const auto& part : parts) {
      const auto size = static_cast<std::ptrdiff_t>(part.shape(axis));
      copy_into(result.slice(axis, at, at + size), part);
      at += size;
    }
    check(result, 0);
  }
  // WebNN normalises over any list of axes: they become one last axis, as views and one copy.
  template <class T> void layer_norm_case(const Tensor<T>& x) {
    std::vector<std::size_t> axes;
    if (const json::Value* given = option("axes")) {
      for (std::size_t axis : dimensions<std::size_t>(*given)) axes.push_back(axis);
    } else {
      for (std::size_t axis = 1; axis < x.rank(); ++axis) axes.push_back(axis);
    }
    std::vector<std::size_t> order;
    for (std::size_t axis = 0; axis < x.rank(); ++axis)
      if (std::find(axes.begin(), axes.end(), axis) == axes.end()) order.push_back(axis);
    order.insert(order.end(), axes.begin(), axes.end());
    const auto moved = x.with(permute(x.layout(), order)).contiguous();
    std::size_t length = 1;
    for (std::size_t axis : axes) length *= x.shape(static_cast<std::ptrdiff_t>(axis));
    const auto parameter = [&](const char* key, float otherwise) {
      if (const json::Value* name = option(key)) {
        const auto given = tensor<T>(*name);
        return (given.size() == length ? given.reshape({length}) : given.broadcast_to({length})).contiguous();
      }
      return full<T>({length}, convert<T>(otherwise)).copy_to(Fixture::storage());
    };
    const json::Value* epsilon = option("epsilon");
    const auto rows = layer_norm(moved.reshape({length == 0 ? 0 : x.size() / length, length}), parameter("scale", 1), parameter("bias", 0),
                                 epsilon ? static_cast<float>(number(*epsilon)) : 1e-5f);
    std::vector<std::size_t> back(order.size());
    for (std::size_t axis = 0; axis < order.size(); ++axis) back[order[axis]] = axis;
    const auto result = rows.reshape(moved.shape());
    check(result.with(permute(result.layout(), back)), 0, 1.0 / 1024);
  }

  const json::Value& graph_;
  std::string name_;
  const json::Value* operator_ = nullptr;
  std::map<std::string, const json::Value*> arguments_;
  std::vector<const json::Value*> positional_;
};

// The folder of cases, or null.
inline const char* cases_folder() {
  const char* folder = std::getenv("COTENANT_WPT");
  return folder == nullptr || *folder == '\0' ? nullptr : folder;
}
// doctest counts the test as skipped; this says why.
inline bool is_missing() {
  if (cases_folder() != nullptr) return false;
  std::fputs("SKIPPED: no WebNN conformance case ran, because COTENANT_WPT names no folder of them\n", stderr);
  return true;
}

TEST_CASE_TEMPLATE_DEFINE("WebNN conformance cases" * doctest::skip(is_missing()), Fixture, webnn_cases) {
  Fixture::for_each_configuration([] {
    std::size_t ran = 0;
    std::map<std::string, std::size_t> skipped;
    for (const auto& entry : std::filesystem::directory_iterator(cases_folder())) {
      if (entry.path().extension() != ".json") continue;
      std::ifstream file(entry.path(), std::ios::binary);
      const std::string text{std::istreambuf_iterator<char>(file), {}};
      const json::Value document = json::parse(text, entry.path().filename().string());
      for (const json::Value& test : *member(document, "tests").get_if<json::Array>()) {
        const std::string name = *member(test, "name").get_if<std::string>();
        try {
          Runner<Fixture>(member(test, "graph"), name).run();
          ++ran;
        } catch (const Skip& skip) {
          ++skipped[skip.reason];
        } catch (const Unsupported& beyond) {  // a limit of the device, such as how many bytes a descriptor may bind
          ++skipped[beyond.what()];
        } catch (const Error& error) {
          FAIL_CHECK(name << ": " << error.what());
        }
      }
    }
    std::string reasons;
    for (const auto& [reason, count] : skipped) reasons += "; skipped " + std::to_string(count) + ": " + reason;
    MESSAGE(ran << " WebNN cases ran" << reasons);
    CHECK(ran > 0);
  });
}

}  // namespace cotenant::test::wpt

#define COTENANT_BACKEND_SUITE_WPT(...)                        \
  namespace cotenant::test::wpt {                              \
  TEST_CASE_TEMPLATE_INVOKE(webnn_cases, __VA_ARGS__);         \
  }

#endif
