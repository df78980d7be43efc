# neuron_mutants(name LIST file SOURCES file... COPIES_INTO var): when built, generates copies of the sources that the list
# names, with every defect a run-time switch; `var` becomes SOURCES with copies in place of originals, plus the switch.
# Copied headers need ${name}_INCLUDE before kernel/ in the include path.
function(neuron_mutants name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "LIST;COPIES_INTO" "SOURCES")
    set(out ${CMAKE_CURRENT_BINARY_DIR}/${name})
    set(tool ${PROJECT_SOURCE_DIR}/tools/mutants/mutants.py)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${arg_LIST})
    file(STRINGS ${arg_LIST} lines REGEX "^file = ")
    list(TRANSFORM lines REPLACE "^file = \"([^\"]*)\".*" "\\1")
    list(REMOVE_DUPLICATES lines)
    set(originals ${lines})
    list(TRANSFORM originals PREPEND ${PROJECT_SOURCE_DIR}/)
    set(copies ${lines})
    list(TRANSFORM copies PREPEND ${out}/)
    add_custom_command(OUTPUT ${copies} COMMAND ${tool} generate ${arg_LIST} --root ${PROJECT_SOURCE_DIR} --out ${out}
                       COMMAND ${CMAKE_COMMAND} -E touch ${copies}
                       DEPENDS ${arg_LIST} ${tool} ${originals} VERBATIM COMMENT "Seeding the defects of ${name}")
    set(sources ${PROJECT_SOURCE_DIR}/tools/mutants/mutant.cpp ${copies})
    foreach(source ${arg_SOURCES})
        if(NOT source IN_LIST originals)
            list(APPEND sources ${source})
        endif()
    endforeach()
    set(${arg_COPIES_INTO} ${sources} PARENT_SCOPE)
    set(${name}_INCLUDE ${out}/kernel PARENT_SCOPE)
endfunction()
